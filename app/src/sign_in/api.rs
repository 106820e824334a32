//! Ways in and out.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::{Json, Response},
};

use super::{
    oidc,
    password::{self, Outcome},
    setup,
};
use crate::{
    auth::{
        api::{Code, Email, Name, NewPassword, Password, SignedInBy, Tag, UserBody, with_cookies},
        caller::{By, Caller, Place},
        profile::Profile,
        sessions,
    },
    household::{invitations, resets},
    http::{Code as ProblemCode, Given, Problem, ReadRefused, WriteRefused},
    sign_in::SignIn,
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

/// An invitation and who takes it.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Acceptance {
    /// The token of the link.
    token: Code,
    /// What to be called.
    name: Name,
    /// The e-mail to sign in with.
    email: Email,
    /// The password to sign in with.
    password: NewPassword,
}

/// A reset and the new password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct Reset {
    /// The token of the link.
    token: Code,
    /// The new password.
    password: NewPassword,
}

/// Who is signed in, and how.
#[derive(Debug, Object)]
#[oai(rename = "CurrentSession", skip_serializing_if_is_none)]
pub(crate) struct CurrentBody {
    /// The session's number; absent when it is none.
    id: Option<i64>,
    by: SignedInBy,
    user: UserBody,
}

impl CurrentBody {
    pub(crate) fn of(begun: &sessions::Begun) -> Self {
        Self { id: Some(begun.session.id), by: SignedInBy::Session, user: begun.user.clone().into() }
    }
}

#[derive(ApiResponse)]
enum Shown {
    /// The ways in.
    #[oai(status = 200)]
    Auth(Json<AuthBody>),
}

#[derive(ApiResponse)]
enum Current {
    /// Who is signed in.
    #[oai(status = 200)]
    Session(Json<CurrentBody>),
}

#[derive(ApiResponse)]
pub(crate) enum Begun {
    /// Signed in: the cookie of the session comes with it.
    #[oai(status = 201)]
    Session(Json<CurrentBody>),
}

#[derive(ApiResponse)]
enum Done {
    /// It is done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi]
impl SessionApi {
    /// Show the ways in
    #[oai(path = "/auth", method = "get", operation_id = "show_auth", tag = "Tag::Session")]
    async fn auth(&self, Data(sign_in): Data<&Arc<SignIn>>) -> Result<Shown, ReadRefused> {
        Ok(Shown::Auth(Json(AuthBody {
            setup_needed: setup::is_needed(sign_in).await?,
            passkeys: sign_in.passkeys.is_some(),
            single_sign_on: sign_in
                .oidc
                .as_ref()
                .map(|oidc| SingleSignOn { name: oidc.name().to_owned(), url: oidc::page::BEGIN.to_owned() }),
        })))
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
    ) -> Result<Response<Begun>, WriteRefused> {
        let profile = Profile::check(&body.name.0, &body.email.0).map_err(Problem::fields)?;
        let begun = setup::set_up(sign_in, &place, &body.code.0, profile, &body.password.0).await?;
        Ok(with_cookies(Begun::Session(Json(CurrentBody::of(&begun))), &begun, &place))
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
    ) -> Result<Response<Begun>, WriteRefused> {
        let code = body.code.0.as_ref().map(|code| code.0.as_str());
        match password::by_password(sign_in, &place, &body.email.0, &body.password.0, code).await? {
            Outcome::In(begun) => Ok(with_cookies(Begun::Session(Json(CurrentBody::of(&begun))), &begun, &place)),
            Outcome::CodeWanted(_) => Err(Problem::unauthorized("The code of the second factor is wanted as well.")
                .code(ProblemCode::SecondFactorRequired)
                .into()),
        }
    }

    /// Show who is signed in
    #[oai(path = "/session", method = "get", operation_id = "show_session", tag = "Tag::Session")]
    async fn show(&self, caller: Caller) -> Result<Current, ReadRefused> {
        let by = match caller.by {
            By::Session { .. } => SignedInBy::Session,
            By::Token { .. } => SignedInBy::Token,
            By::Tailscale => SignedInBy::Tailscale,
        };
        Ok(Current::Session(Json(CurrentBody { id: caller.session(), by, user: caller.user.into() })))
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

    /// Accept an invitation
    ///
    /// Its holder becomes one of the household and is signed in.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation", tag = "Tag::Session")]
    async fn accept(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        place: Place,
        body: Json<Acceptance>,
    ) -> Result<Response<Begun>, WriteRefused> {
        let profile = Profile::check(&body.name.0, &body.email.0).map_err(Problem::fields)?;
        let begun = invitations::accept(sign_in, &place, &body.token.0, profile, &body.password.0).await?;
        Ok(with_cookies(Begun::Session(Json(CurrentBody::of(&begun))), &begun, &place))
    }

    /// Choose a new password by a link
    ///
    /// Ends all sessions of whom the link is for. They sign in with the new password then.
    #[oai(path = "/reset", method = "post", operation_id = "use_reset", tag = "Tag::Session")]
    async fn reset(
        &self,
        Data(sign_in): Data<&Arc<SignIn>>,
        place: Place,
        body: Json<Reset>,
    ) -> Result<Done, WriteRefused> {
        resets::use_reset(sign_in, &place, &body.token.0, &body.password.0, false).await?;
        Ok(Done::Done)
    }
}
