//! How is a user found by an e-mail without reading all users?
//!
//! The column `user.email_key` has [`email::key`] of each e-mail, and an index. It narrows a search and decides
//! nothing: each search compares the e-mails themselves. Rows without a key are among the candidates of every search, so that nobody is
//! overlooked: an older program or a person with SQL wrote them. A change of the e-mail alone takes the key away (a trigger of
//! m0003). At each start every key is compared with what this version makes of the e-mail, since a newer table of Unicode may
//! make another one, and those that differ are written, some hundreds in a transaction.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    Statement, sea_query::Expr,
};

use super::{
    email,
    entity::user::{self, Column, Entity, Model},
};
use crate::{
    db::{Database, DbError},
    failure::Failure,
};

/// Users whose keys are compared at once.
const BATCH: usize = 500;

/// Returns the users who have this key, and those without any.
pub(super) async fn candidates(reads: &impl ConnectionTrait, key: &str) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(is_candidate(key)).filter(user::has_known_role()).all(reads).await
}

/// Returns the numbers and e-mails of the same, whatever their roles.
pub(super) async fn emails(reads: &impl ConnectionTrait, key: &str) -> Result<Vec<(i64, String)>, DbErr> {
    let all = Entity::find().select_only().columns([Column::Id, Column::Email]).filter(is_candidate(key));
    all.into_tuple().all(reads).await
}

fn is_candidate(key: &str) -> Condition {
    let column = || Expr::col((Entity, "email_key"));
    Condition::any().add(column().eq(key)).add(column().is_null())
}

/// Writes the key of a user's e-mail. It takes a statement of its own: the one that writes the e-mail takes the key away.
pub(crate) async fn write(transaction: &impl ConnectionTrait, id: i64, email: &str) -> Result<(), DbErr> {
    let update = Entity::update_many().col_expr("email_key", Expr::value(email::key(email)));
    // Unless somebody else has changed it since it was read.
    update.filter(Column::Id.eq(id)).filter(Column::Email.eq(email)).exec(transaction).await.map(drop)
}

/// Writes the keys that are missing or are not what this version makes of the e-mail.
pub(crate) async fn fill(database: &Database) -> Result<(), Failure> {
    let explain = |error: DbError| {
        Failure::new(format!("the users could not be made ready to be found by their e-mail: {error}"))
            .hint("nothing was lost; start Hearth again")
    };
    let (mut after, mut number) = (i64::MIN, 0);
    loop {
        let batch = batch(database.reads(), after).await.map_err(|error| explain(database.failed(error)))?;
        let Some((last, ..)) = batch.last() else { break };
        after = *last;
        let stale: Vec<_> = batch
            .into_iter()
            .filter(|(_, email, key)| key.as_deref() != Some(&*email::key(email)))
            .map(|(id, email, _)| (id, email))
            .collect();
        // A start with nothing to fill writes nothing.
        if stale.is_empty() {
            continue;
        }
        number += stale.len();
        let written = database.write(async move |tx| {
            for (id, email) in &stale {
                write(tx, *id, email).await?;
            }
            Ok(())
        });
        written.await.map_err(explain)?;
    }
    if number > 0 {
        let users = if number == 1 { "1 user was".to_owned() } else { format!("{number} users were") };
        tracing::info!("{users} made ready to be found by their e-mail");
    }
    Ok(())
}

/// Returns some users behind this number, with their e-mails and keys.
pub(super) async fn batch(
    reads: &impl ConnectionTrait,
    after: i64,
) -> Result<Vec<(i64, String, Option<String>)>, DbErr> {
    let sql = format!(r#"SELECT "id", "email", "email_key" FROM "user" WHERE "id" > ? ORDER BY "id" LIMIT {BATCH}"#);
    let rows = reads.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into()])).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?))).collect()
}
