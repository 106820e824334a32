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
        caller::{By, Caller, Place},
        profile::Profile,
        sessions,
    },
    http::{Code as ProblemCode, Done, Found, Given, Problem, ReadRefused, WriteRefused},
    sign_in::{
        SignIn,
        enter::{CurrentBody, SignedIn, SignedInBy, signed_in},
    },
};

/// The operations.
pub(crate) struct SessionApi;

/// Which ways in there are.
#[derive(Debug, Object)]
#[oai(rename = "Auth", skip_serializing_if_is_none)]
struct AuthBody {
    /// Whether the instance still waits for its owner, who needs the set-up code.
    setup_needed: bool,
    /// Whether passkeys can be used.
    passkeys: bool,
    /// Absent where there is none.
    single_sign_on: Option<SingleSignOn>,
}

/// The household's own provider of sign-ins.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct SingleSignOn {
    /// The words on the button.
    name: String,
    /// Where a browser begins, on this host.
    url: String,
}

/// Who becomes the owner.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct SetUp {
    /// The set-up code, from the log or by `app setup-code` on the server.
    code: Code,
    /// What to be called.
    name: Name,
    /// The e-mail to sign in with.
    email: Email,
    /// The password to sign in with.
    password: NewPassword,
}

/// Who comes in.
#[derive(Debug, Object)]
#[oai(rename = "SignIn", deny_unknown_fields, skip_serializing_if_is_none)]
struct Credentials {
    /// The e-mail.
    email: Email,
    /// The password.
    password: Password,
    /// The one-time password or a recovery code, for who has a second factor.
    code: Given<Code>,
}

#[OpenApi]
impl SessionApi {
    /// Show the ways in
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

    /// Set the instance up
    ///
    /// Who has the set-up code becomes the owner and is signed in. Works once.
    #[oai(path = "/setup", method = "post", operation_id = "set_up", tag = "Tag::Session")]
    async fn set_up(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        place: Place,
        body: Json<SetUp>,
    ) -> Result<Response<SignedIn>, WriteRefused> {
        let profile = Profile::check(&body.name.0, &body.email.0).map_err(Problem::fields)?;
        let begun = setup::set_up(sign_in, &place, &body.code.0, profile, &body.password.0).await?;
        Ok(signed_in(&begun, &place))
    }

    /// Sign in
    ///
    /// With e-mail and password, and `code` for who has a second factor: without it they are refused with 401 and the
    /// code `second_factor_required`. The session's cookie is `hearth-INSTANCE`, or `__Host-hearth-INSTANCE` over https; programs
    /// use a token.
    #[oai(path = "/session", method = "post", operation_id = "sign_in", tag = "Tag::Session")]
    async fn sign_in(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        place: Place,
        body: Json<Credentials>,
    ) -> Result<Response<SignedIn>, WriteRefused> {
        let code = body.code.0.as_ref().map(|code| code.0.as_str());
        match password::by_password(sign_in, &place, &body.email.0, &body.password.0, code).await? {
            Outcome::In(begun) => Ok(signed_in(&begun, &place)),
            Outcome::CodeWanted(_) => Err(Problem::unauthorized("The code of the second factor is wanted as well.")
                .code(ProblemCode::SecondFactorRequired)
                .into()),
        }
    }

    /// Show who is signed in
    #[oai(path = "/session", method = "get", operation_id = "show_session", tag = "Tag::Session")]
    async fn show(&self, caller: Caller) -> Result<Found<CurrentBody>, ReadRefused> {
        let by = match caller.by {
            By::Session { .. } => SignedInBy::Session,
            By::Token { .. } => SignedInBy::Token,
            By::Tailscale => SignedInBy::Tailscale,
        };
        Ok(Found::new(CurrentBody { id: caller.session(), by, user: caller.user.into() }))
    }

    /// Sign out
    ///
    /// Ends the session that the request came with. A token is revoked instead, and Tailscale's word is not Hearth's to
    /// end: both are refused with 409.
    #[oai(path = "/session", method = "delete", operation_id = "sign_out", tag = "Tag::Session")]
    async fn sign_out(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        caller: Caller,
    ) -> Result<Response<Done>, WriteRefused> {
        if caller.session().is_none() {
            let why = "There is no session to end: this came with a token, or by Tailscale. Tokens are revoked.";
            return Err(Problem::conflict(why).into());
        }
        sessions::sign_out(&sign_in.database, &caller).await?;
        Ok(Response::new(Done::Done).header("set-cookie", sessions::cookie(&caller.place, None, sessions::LIFE)))
    }
}
