//! Who is there? The rows of `user` that a request, a sign-in or a change of somebody needs.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement,
    sea_query::Order,
};

use super::{
    email, email_keys,
    entity::user::{self, ActiveModel, Column, Entity, Model},
    login_methods,
    profile::Profile,
    role::Role,
};
use crate::{
    datetime::Timestamp,
    db::{Abort, DirectReads},
    http::{FieldError, Problem},
};

/// Returns everybody, in the order in which they came.
pub(crate) async fn list(reads: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(user::has_known_role()).order_by(Column::Id, Order::Asc).all(reads).await
}

/// Returns what everybody is called, by number.
pub(crate) async fn names(reads: &DirectReads) -> Result<HashMap<i64, String>, DbErr> {
    let statement = Statement::from_string(DbBackend::Sqlite, r#"SELECT "id", "name" FROM "user""#);
    let named = reads.rows(&statement, |row| Ok((row.get(0)?, row.get(1)?))).await?;
    Ok(named.into_iter().collect())
}

/// Returns who has this number.
pub(crate) async fn get(reads: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(user::has_known_role()).one(reads).await
}

/// Returns who has this number, unless they are disabled.
pub(crate) async fn enabled(reads: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Ok(get(reads, id).await?.filter(|user| !user.disabled))
}

/// Returns everybody whose e-mail is this one, or folds into it by Unicode's rules.
pub(crate) async fn alike(reads: &impl ConnectionTrait, email: &str) -> Result<Vec<Model>, DbErr> {
    let key = email::key(email);
    let mut found = email_keys::candidates(reads, &key).await?;
    found.retain(|user| email::key(&user.email) == key);
    Ok(found)
}

/// Returns who means themselves by this e-mail: the user with that very spelling, else the only one whose e-mail folds into it.
/// It proves nothing; a password or the operator's word has to.
pub(crate) async fn signing_in(reads: &impl ConnectionTrait, typed: &str) -> Result<Option<Model>, DbErr> {
    let mut alike = alike(reads, typed).await?;
    // Up to 0.4.0 an e-mail was kept in Unicode's lower case.
    let spellings = [email::spelling(typed), typed.trim().to_lowercase()];
    let exact = spellings.iter().find_map(|spelling| {
        alike.iter().position(|user| user.email == *spelling || email::spelling(&user.email) == *spelling)
    });
    Ok(match exact {
        Some(place) => Some(alike.swap_remove(place)),
        None if alike.len() == 1 => alike.pop(),
        None => None,
    })
}

/// Whether an e-mail is somebody's already, in this spelling or another that it could be taken for.
pub(crate) async fn is_taken(reads: &impl ConnectionTrait, email: &str, but_by: Option<i64>) -> Result<bool, DbErr> {
    let key = email::key(email);
    // Also by users whose role only a newer version knows.
    let known = email_keys::emails(reads, &key).await?;
    Ok(known.iter().any(|(id, known)| Some(*id) != but_by && email::key(known) == key))
}

/// Returns whether there is anybody.
pub(crate) async fn any(reads: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let one = Entity::find().select_only().column(Column::Id).into_tuple::<i64>().one(reads).await?;
    Ok(one.is_some())
}

/// Adds somebody, when nobody has the e-mail yet.
pub(crate) async fn add(
    transaction: &impl ConnectionTrait,
    profile: &Profile,
    role: Role,
) -> Result<Model, Abort<Problem>> {
    if is_taken(transaction, &profile.email, None).await? {
        return Err(email_in_use().into());
    }
    let now = Timestamp::now();
    let row = ActiveModel {
        id: NotSet,
        name: Set(profile.name.clone()),
        email: Set(profile.email.clone()),
        role: Set(role),
        disabled: Set(false),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let user = Entity::insert(row).exec_with_returning(transaction).await?;
    email_keys::write(transaction, user.id, &user.email).await?;
    Ok(user)
}

/// Adds somebody who signs in with a password.
pub(crate) async fn add_with_password(
    transaction: &impl ConnectionTrait,
    profile: &Profile,
    role: Role,
    hash: &str,
) -> Result<Model, Abort<Problem>> {
    let user = add(transaction, profile, role).await?;
    login_methods::set_password(transaction, user.id, hash).await?;
    Ok(user)
}

/// The refusal of an e-mail that somebody has.
pub(crate) fn email_in_use() -> Problem {
    Problem::fields(vec![FieldError::new("email", "is already used by another user")])
}

/// Whether who made a link may still do what it does for this role; the operator may always.
pub(crate) async fn still_rules(
    reads: &impl ConnectionTrait,
    created_by: Option<i64>,
    role: Role,
) -> Result<bool, DbErr> {
    let Some(id) = created_by else { return Ok(true) };
    Ok(get(reads, id).await?.is_some_and(|maker| !maker.disabled && maker.role.rules(role)))
}

/// How many owners can sign in.
pub(crate) async fn owners(reads: &impl ConnectionTrait) -> Result<u64, DbErr> {
    Entity::find().filter(Column::Role.eq(Role::Owner)).filter(Column::Disabled.eq(false)).count(reads).await
}

/// The refusal of a number that nobody has.
pub(crate) fn unknown(id: i64) -> Problem {
    Problem::not_found(format!("There is no user with the id {id}."))
}
