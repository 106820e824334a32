//! By which ways can somebody sign in, beside passkeys?
//!
//! A row of `account` each: a password, a login of Tailscale's, a subject of an OpenID provider.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, Order},
};

use super::{
    email,
    entity::{
        account::{ActiveModel, Column, Entity, Model},
        user,
    },
    role::Role,
};
use crate::{
    datetime::Timestamp,
    db::Abort,
    http::{FieldError, Problem, first_unseen},
};

pub(crate) const PASSWORD: &str = "password";
pub(crate) const TAILSCALE: &str = "tailscale";
pub(crate) const OIDC: &str = "oidc";
/// No way to sign in: a row that says whose e-mail this is, by the word of somebody with the authority or of a provider.
const EMAIL: &str = "email";

/// The longest login of Tailscale's that is kept, in bytes.
const LOGIN_MAX: usize = 254;

/// Returns the way and whose it is.
pub(crate) async fn find(
    reads: &impl ConnectionTrait,
    provider: &str,
    provider_id: &str,
) -> Result<Option<(Model, user::Model)>, DbErr> {
    let found = Entity::find()
        .filter(Column::Provider.eq(provider))
        .filter(Column::ProviderId.eq(provider_id))
        .find_also_related(user::Entity)
        .filter(user::has_known_role())
        .one(reads)
        .await?;
    Ok(found.and_then(|(account, user)| user.map(|user| (account, user))))
}

/// Returns the accounts elsewhere that sign somebody in, the oldest first.
pub(crate) async fn linked(reads: &impl ConnectionTrait, user_id: i64) -> Result<Vec<Model>, DbErr> {
    let own = Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::Provider.is_not_in([PASSWORD, EMAIL]));
    own.order_by(Column::Id, Order::Asc).all(reads).await
}

/// Returns whether a provider knows somebody by another name already: what it calls them begins with its address, and a blank.
pub(crate) async fn is_known_otherwise(
    reads: &impl ConnectionTrait,
    user_id: i64,
    provider: &str,
    provider_id: &str,
) -> Result<bool, DbErr> {
    // Of OpenID Connect the issuer stands before a blank; of Tailscale there is one.
    fn issuer(id: &str) -> Option<&str> {
        id.split_once(' ').map(|(issuer, _)| issuer)
    }
    let is_of_it = |known: &Model| known.provider == provider && issuer(&known.provider_id) == issuer(provider_id);
    Ok(linked(reads, user_id).await?.iter().any(is_of_it))
}

/// Keeps that a user's e-mail is theirs: an admin invited them by it, or a provider has seen that they read it.
pub(crate) async fn vouch(transaction: &impl ConnectionTrait, user: &user::Model) -> Result<(), DbErr> {
    let earlier = Condition::any().add(Column::UserId.eq(user.id)).add(Column::ProviderId.eq(&*user.email));
    Entity::delete_many().filter(Column::Provider.eq(EMAIL)).filter(earlier).exec(transaction).await?;
    add(transaction, user.id, EMAIL, &user.email, None).await
}

/// Returns whether a user's e-mail is known to be theirs. Admins and owners could give themselves any account.
pub(crate) async fn is_vouched(reads: &impl ConnectionTrait, user: &user::Model) -> Result<bool, DbErr> {
    let own = find(reads, EMAIL, &user.email).await?;
    Ok(user.role >= Role::Admin || own.is_some_and(|(_, known)| known.id == user.id))
}

/// Returns the ways of this kind of everybody.
pub(crate) async fn list_by(reads: &impl ConnectionTrait, provider: &str) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Provider.eq(provider)).all(reads).await
}

/// Returns the hash of somebody's password.
pub(crate) async fn password(reads: &impl ConnectionTrait, user_id: i64) -> Result<Option<String>, DbErr> {
    let found = find(reads, PASSWORD, &user_id.to_string()).await?;
    Ok(found.and_then(|(account, _)| account.password_hash))
}

/// Gives somebody a way.
pub(crate) async fn add(
    transaction: &impl ConnectionTrait,
    user_id: i64,
    provider: &str,
    provider_id: &str,
    password_hash: Option<String>,
) -> Result<(), DbErr> {
    let now = Timestamp::now();
    let row = ActiveModel {
        id: NotSet,
        user_id: Set(user_id),
        provider: Set(provider.to_owned()),
        provider_id: Set(provider_id.to_owned()),
        password_hash: Set(password_hash),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(row).exec_without_returning(transaction).await.map(drop)
}

/// Sets the hash of somebody's password.
pub(crate) async fn set_password(transaction: &impl ConnectionTrait, user_id: i64, hash: &str) -> Result<(), DbErr> {
    let changed = Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(hash))
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Provider.eq(PASSWORD))
        .filter(Column::ProviderId.eq(user_id.to_string()))
        .exec(transaction)
        .await?;
    if changed.rows_affected == 0 {
        add(transaction, user_id, PASSWORD, &user_id.to_string(), Some(hash.to_owned())).await?;
    }
    Ok(())
}

/// Makes this the login by which Tailscale knows somebody; an empty one takes it away. Returns it where it is another one.
pub(crate) async fn set_tailscale(
    transaction: &impl ConnectionTrait,
    user_id: i64,
    login: &str,
) -> Result<Option<String>, Abort<Problem>> {
    let login = email::lower_case(&email::spelling(login));
    let is_login = login.len() <= LOGIN_MAX
        && !login.contains(char::is_whitespace)
        && first_unseen(&login).is_none()
        && email::is_plain(&login);
    if !is_login {
        let error =
            FieldError::new("tailscale_login", "must be a login as Tailscale shows it, such as anna@example.org");
        return Err(Problem::fields(vec![error]).into());
    }
    let others = list_by(transaction, TAILSCALE).await?;
    let own = others.iter().find(|way| way.user_id == user_id).map_or("", |way| &way.provider_id);
    if own == login {
        return Ok(None);
    }
    if others.iter().any(|way| way.user_id != user_id && email::key(&way.provider_id) == email::key(&login)) {
        let error = FieldError::new("tailscale_login", "is already used by another user");
        return Err(Problem::fields(vec![error]).into());
    }
    Entity::delete_many()
        .filter(Column::Provider.eq(TAILSCALE))
        .filter(Column::UserId.eq(user_id))
        .exec(transaction)
        .await?;
    if !login.is_empty() {
        add(transaction, user_id, TAILSCALE, &login, None).await?;
    }
    Ok(Some(login))
}
