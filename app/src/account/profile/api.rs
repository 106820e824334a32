//! One's own name, password and sessions.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{
    account::profile::{password_change, store},
    auth::{
        Accounts,
        api::{Email, Name, NewPassword, Password, Tag, UserBody},
        caller::Caller,
        profile::Profile,
    },
    http::{Done, Found, OptionalField, Problem, WriteRefused},
    sign_in::SignIn,
};

/// The operations.
pub(crate) struct ProfileApi;

/// A change to your profile. Absent fields keep their values.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct ProfileChange {
    /// The display name.
    name: OptionalField<Name>,
    /// The e-mail address, used to sign in.
    email: OptionalField<Email>,
}

/// A change of your password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct PasswordChange {
    /// The current password. Omit it if the user has none.
    current_password: OptionalField<Password>,
    /// The new password.
    new_password: NewPassword,
}

#[OpenApi]
impl ProfileApi {
    /// Update your profile
    #[oai(path = "/profile", method = "patch", operation_id = "update_profile", tag = "Tag::Account")]
    async fn update(
        &self,
        Data(accounts): Data<&Arc<Accounts>>,
        caller: Caller,
        body: Json<ProfileChange>,
    ) -> Result<Found<UserBody>, WriteRefused> {
        let name = body.name.0.as_ref().map_or(caller.user.name.as_str(), |name| &name.0);
        let email = body.email.0.as_ref().map_or(caller.user.email.as_str(), |email| &email.0);
        let profile = Profile::check(name, email).map_err(Problem::fields)?;
        let user = store::update(&accounts.database, &caller, profile).await?;
        Ok(Found::new(user))
    }

    /// Change your password
    ///
    /// Ends all other sessions.
    #[oai(path = "/password", method = "post", operation_id = "change_password", tag = "Tag::Account")]
    async fn change_password(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
        body: Json<PasswordChange>,
    ) -> Result<Done, WriteRefused> {
        let current = body.current_password.0.as_ref().map_or("", |password| &password.0);
        password_change::change(sign_in, &caller, current, &body.new_password.0).await?;
        Ok(Done::Done)
    }
}
