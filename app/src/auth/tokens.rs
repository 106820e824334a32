//! By what do programs come in?
//!
//! By tokens that their user made, `hearth_` and 256 random bits, of which the database keeps the hash. A token may
//! what its user may, within its scope.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, SelectTwo, sea_query::Expr,
};
use time::Duration;

use super::{
    entity::{
        api_token::{Column, Entity, Model},
        user,
    },
    role::Scope,
};
use crate::{
    datetime::Timestamp,
    db::{Database, DbError, is_known},
    secret::digest,
};

/// How exactly it is known when a token was used last.
const USED_AFTER: Duration = Duration::minutes(10);

/// Returns the token that is still good, and whose it is.
pub(crate) async fn find(reads: &DatabaseConnection, token: &str) -> Result<Option<(Model, user::Model)>, DbErr> {
    let found = of_users().filter(Column::TokenHash.eq(digest(token))).one(reads).await?;
    Ok(while_good(found))
}

/// Returns the token with this id while it is good, and whose it is.
pub(crate) async fn get_with_user(
    reads: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<(Model, user::Model)>, DbErr> {
    let found = of_users().filter(Column::Id.eq(id)).one(reads).await?;
    Ok(while_good(found))
}

/// Returns tokens with whose they are, as far as this version knows the words.
fn of_users() -> SelectTwo<Entity, user::Entity> {
    let known = Entity::find().filter(is_known::<Scope>(Column::Scope));
    known.find_also_related(user::Entity).filter(user::has_known_role())
}

fn while_good(found: Option<(Model, Option<user::Model>)>) -> Option<(Model, user::Model)> {
    found
        .and_then(|(token, user)| user.map(|user| (token, user)))
        .filter(|(token, user)| token.is_good() && !user.disabled)
}

impl Model {
    /// Whether it has not expired.
    pub(crate) fn is_good(&self) -> bool {
        self.expires_at.is_none_or(|end| end > Timestamp::now())
    }
}

/// Whether a use, now, asks to be written.
pub(crate) fn is_due(token: &Model, now: Timestamp) -> bool {
    token.last_used_at.is_none_or(|last| last < now.before(USED_AFTER))
}

/// Writes that a token was used.
pub(crate) async fn used(database: &Database, id: i64) -> Result<(), DbError> {
    database
        .write(async move |tx| {
            Entity::update_many()
                .col_expr(Column::LastUsedAt, Expr::value(Timestamp::now()))
                .filter(Column::Id.eq(id))
                .exec(tx)
                .await?;
            Ok(())
        })
        .await
}

/// Returns one of somebody's tokens.
pub(crate) async fn get(reads: &impl ConnectionTrait, user_id: i64, id: i64) -> Result<Option<Model>, DbErr> {
    let own = Entity::find_by_id(id).filter(Column::UserId.eq(user_id));
    own.filter(is_known::<Scope>(Column::Scope)).one(reads).await
}
