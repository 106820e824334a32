//! Ways in and out.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    payload::{Json, Response},
};

use super::{
    oidc,
    password::{self, Outcome},
    setup,
};
use crate::{
    auth::{
        api::{Code, Email, Name, NewPassword, Password, Tag},
        caller::{Caller, ClientInfo, Credential},
        profile::Profile,
        sessions,
    },
    http::{Code as ProblemCode, Done, Found, OptionalField, Problem, ReadRefused, WriteRefused},
    sign_in::{
        SignIn,
        enter::{CurrentBody, SignedIn, SignedInBy, signed_in},
    },
};

/// The operations.
pub(crate) struct SessionApi;

/// The available sign-in methods.
#[derive(Debug, Object)]
#[oai(rename = "Auth", skip_serializing_if_is_none)]
struct AuthBody {
    /// Whether the instance has no owner yet. The set-up code is needed to become the owner.
    setup_needed: bool,
    /// Whether passkeys are available.
    passkeys: bool,
    /// Absent if there is none.
    single_sign_on: Option<SingleSignOn>,
}

/// The household's single sign-on provider.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct SingleSignOn {
    /// The label of the sign-in button.
    name: String,
    /// The path on this host that starts the sign-in.
    url: String,
}

/// The owner account to create.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct SetUp {
    /// The set-up code from the log, or from `app setup-code` on the server.
    code: Code,
    /// The display name.
    name: Name,
    /// The e-mail address, used to sign in.
    email: Email,
    /// The password.
    password: NewPassword,
}

/// The credentials to sign in with.
#[derive(Debug, Object)]
#[oai(rename = "SignIn", deny_unknown_fields, skip_serializing_if_is_none)]
struct Credentials {
    /// The e-mail.
    email: Email,
    /// The password.
    password: Password,
    /// The one-time code or a recovery code, for users with two-factor authentication.
    code: OptionalField<Code>,
}

#[OpenApi]
impl SessionApi {
    /// Show the sign-in methods
    #[oai(path = "/auth", method = "get", operation_id = "show_auth", tag = "Tag::Session")]
    async fn auth(&self, Data(sign_in): Data<&Arc<SignIn>>) -> Result<Found<AuthBody>, ReadRefused> {
        Ok(Found::new(AuthBody {
            setup_needed: setup::is_needed(sign_in).await?,
            passkeys: sign_in.passkeys.is_some(),
            single_sign_on: sign_in
                .oidc
                .as_ref()
                .map(|oidc| SingleSignOn { name: oidc.name().to_owned(), url: oidc::page::BEGIN.to_owned() }),
        }))
    }

    /// Set up the instance
    ///
    /// The person who enters the set-up code becomes the owner and is signed in. Works once.
    #[oai(path = "/setup", method = "post", operation_id = "set_up", tag = "Tag::Session")]
    async fn set_up(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        client: ClientInfo,
        body: Json<SetUp>,
    ) -> Result<Response<SignedIn>, WriteRefused> {
        let profile = Profile::check(&body.name.0, &body.email.0).map_err(Problem::fields)?;
        let begun = setup::set_up(sign_in, &client, &body.code.0, profile, &body.password.0).await?;
        Ok(signed_in(&begun, &client))
    }

    /// Sign in
    ///
    /// Takes e-mail and password, and `code` for users with two-factor authentication. Without the code, such a user gets
    /// 401 with the code `second_factor_required`. The session's cookie is `hearth-INSTANCE`, or
    /// `__Host-hearth-INSTANCE` over https. Programs use a token.
    #[oai(path = "/session", method = "post", operation_id = "sign_in", tag = "Tag::Session")]
    async fn sign_in(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        client: ClientInfo,
        body: Json<Credentials>,
    ) -> Result<Response<SignedIn>, WriteRefused> {
        let code = body.code.0.as_ref().map(|code| code.0.as_str());
        match password::by_password(sign_in, &client, &body.email.0, &body.password.0, code).await? {
            Outcome::In(begun) => Ok(signed_in(&begun, &client)),
            Outcome::CodeWanted(_) => {
                Err(Problem::unauthorized("A code is required: this account uses two-factor authentication.")
                    .code(ProblemCode::SecondFactorRequired)
                    .into())
            }
        }
    }

    /// Show the current session
    #[oai(path = "/session", method = "get", operation_id = "show_session", tag = "Tag::Session")]
    async fn show(&self, caller: Caller) -> Result<Found<CurrentBody>, ReadRefused> {
        let by = match caller.by {
            Credential::Session { .. } => SignedInBy::Session,
            Credential::Token { .. } => SignedInBy::Token,
            Credential::Tailscale => SignedInBy::Tailscale,
        };
        Ok(Found::new(CurrentBody { id: caller.session(), by, user: caller.user.into() }))
    }

    /// Sign out
    ///
    /// Ends the session of the request. A request with a token or through Tailscale has no session to end and gets 409.
    #[oai(path = "/session", method = "delete", operation_id = "sign_out", tag = "Tag::Session")]
    async fn sign_out(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
    ) -> Result<Response<Done>, WriteRefused> {
        if caller.session().is_none() {
            let why = "There is no session to end: the request was authenticated by a token or by Tailscale. Revoke the token instead.";
            return Err(Problem::conflict(why).into());
        }
        sessions::sign_out(&sign_in.database, &caller).await?;
        Ok(Response::new(Done::Done).header("set-cookie", sessions::cookie(&caller.client, None, sessions::LIFE)))
    }
}
