//! With foreign keys on, the rebuilt table's children would go with the old one, by ON DELETE CASCADE.
//!
//! rules: statements
//! says: executes PRAGMA foreign_keys
//! instead: leave it out

up!(manager => {
    crate::run(manager, "PRAGMA foreign_keys = ON").await?;
    crate::rebuild(manager, "user", &[], &[]).await
});
