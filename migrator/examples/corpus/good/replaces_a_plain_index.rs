//! An index that only helps may become another one under its name.

use crate::add;

up!(manager => {
    crate::run(manager, "DROP INDEX IF EXISTS record_category").await?;
    add::index(manager, "record_category", "record (category, id)").await
});
