//! Who can sign in, and by what?
//!
//! For `GET /proof`: the ways in words, without anything secret.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::{
    auth::{
        entity::{account, api_token, passkey, totp, user},
        role::Scope,
        users,
    },
    datetime::Timestamp,
    db::is_known,
};

/// Returns of each user in which ways they come in at that moment: `passkey 2, password`.
pub(crate) async fn ways(reads: &DatabaseConnection, at: Timestamp) -> Result<HashMap<i64, String>, DbErr> {
    let mut ways: HashMap<i64, BTreeMap<String, u32>> = HashMap::new();
    let mut add = |user: i64, way: String| *ways.entry(user).or_default().entry(way).or_default() += 1;
    for account in account::Entity::find().order_by_asc(account::Column::Id).all(reads).await? {
        // A password is one if there is a hash of it.
        let is_whole = account.provider != "password" || account.password_hash.is_some();
        add(account.user_id, if is_whole { account.provider } else { "password without a hash".to_owned() });
    }
    for passkey in passkey::Entity::find().order_by_asc(passkey::Column::Id).all(reads).await? {
        add(passkey.user_id, "passkey".to_owned());
    }
    for totp in totp::Entity::find().filter(totp::Column::ConfirmedAt.is_not_null()).all(reads).await? {
        add(totp.user_id, "one-time password".to_owned());
    }
    let tokens = api_token::Entity::find().filter(is_known::<Scope>(api_token::Column::Scope)).all(reads).await?;
    for token in tokens.into_iter().filter(|token| token.expires_at.is_none_or(|end| end > at)) {
        add(token.user_id, format!("token with the scope {}", token.scope.name()));
    }
    let text = |ways: BTreeMap<String, u32>| {
        let counted = |(way, number): (String, u32)| if number == 1 { way } else { format!("{way} {number}") };
        ways.into_iter().map(counted).collect::<Vec<_>>().join(", ")
    };
    Ok(ways.into_iter().map(|(user, ways)| (user, text(ways))).collect())
}

/// Whether a user is found by their own e-mail, as a sign-in looks for them.
pub(crate) async fn is_found(reads: &DatabaseConnection, user: &user::Model) -> Result<bool, DbErr> {
    Ok(users::signing_in(reads, &user.email).await?.is_some_and(|found| found.id == user.id))
}
