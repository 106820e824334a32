//! What does a client read when its request was refused or could not be carried out?
//!
//! Always an RFC 9457 document, `application/problem+json`, also for the errors that the framework raises.

use std::{borrow::Cow, fmt};

use poem::{
    IntoResponse, Response,
    error::{
        MethodNotAllowedError, NotFoundError, ParseFormError, ParsePathError as PoemPathError, ParseQueryError,
        ResponseError,
    },
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Enum, Object,
    error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};

use crate::db::{Abort, DbError};

const CONTENT_TYPE: &str = "application/problem+json";

/// A stable code for programs. A code keeps its meaning; new codes may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ProblemCode", rename_all = "snake_case")]
pub(crate) enum Code {
    /// 400: the request cannot be read.
    MalformedRequest,
    /// 400: fields or parameters cannot be used; `errors` names them.
    InvalidFields,
    /// 401: nobody is signed in, or the user is not who they say.
    Unauthenticated,
    /// 401: the code of the second factor is wanted as well.
    SecondFactorRequired,
    /// 403: the user may not do this.
    Forbidden,
    /// 403: this takes a sign-in within the last hour.
    SignInAgain,
    /// 403: the request comes from a page of another site.
    ForeignOrigin,
    /// 404: it is not there, or not for this user.
    NotFound,
    /// 405: the address does not answer that method.
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    RequestTimeout,
    /// 409: it conflicts with the current state.
    Conflict,
    /// 409: an earlier request with this `Idempotency-Key` created it, and its secret is not shown again.
    AlreadyCreated,
    /// 410: it was there, and is no longer.
    Gone,
    /// 412: it has changed since it was read.
    PreconditionFailed,
    /// 413: the body is too large.
    BodyTooLarge,
    /// 415: the body is of another type.
    UnsupportedMediaType,
    /// 416: the range begins behind the end.
    RangeNotSatisfiable,
    /// 421: Hearth does not go by that name.
    UnknownHost,
    /// 422: the request can be read and cannot be carried out.
    Unprocessable,
    /// 422: the `Idempotency-Key` was used for another request.
    IdempotencyKeyReused,
    /// 429: too many attempts.
    TooManyRequests,
    /// 500: a fault in Hearth itself.
    InternalError,
    /// 503: not at the moment.
    Unavailable,
    /// 507: the disk takes no writes.
    DiskFull,
    /// 507: all attachments together would be larger than the quota.
    QuotaExceeded,
}

impl Code {
    /// Returns what a status says by itself.
    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            410 => Self::Gone,
            412 => Self::PreconditionFailed,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedMediaType,
            416 => Self::RangeNotSatisfiable,
            421 => Self::UnknownHost,
            422 => Self::Unprocessable,
            429 => Self::TooManyRequests,
            503 => Self::Unavailable,
            507 => Self::DiskFull,
            status if status < 500 => Self::MalformedRequest,
            _ => Self::InternalError,
        }
    }

    /// Returns the kind of problem that clients of 0.4.0 know.
    fn kind(self) -> &'static str {
        match self {
            Self::SignInAgain => "urn:hearth:sign-in-again",
            Self::SecondFactorRequired => "urn:hearth:code-wanted",
            _ => "about:blank",
        }
    }
}

/// A problem with a request (RFC 9457).
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Problem {
    /// What kind of problem it is; `about:blank` says that the status tells it all.
    #[oai(rename = "type")]
    kind: String,
    code: Code,
    /// The name of the status.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A sentence for people that explains the problem.
    detail: Option<String>,
    /// The invalid fields.
    errors: Option<Vec<FieldError>>,
    /// A header that says more.
    #[oai(skip)]
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// An invalid field.
#[derive(Debug, Clone, Object)]
pub(crate) struct FieldError {
    /// The field's name.
    field: String,
    /// The error. It completes a sentence that begins with the field's name.
    message: String,
}

impl FieldError {
    /// Returns what is wrong with a field.
    pub(crate) fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }

    /// Returns the field's name.
    pub(crate) fn name(&self) -> &str {
        &self.field
    }

    /// Returns what is wrong with it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl Problem {
    /// Returns a problem that says no more than its status.
    pub(crate) fn new(status: StatusCode) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            code: Code::of(status),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: None,
            errors: None,
            header: None,
        }
    }

    /// Returns the same problem with a header that says more.
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.header = Some(Box::new((name, value.into())));
        self
    }

    /// Returns the same problem with a sentence.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Returns the same problem with a code that says more than its status.
    pub(crate) fn code(self, code: Code) -> Self {
        Self { code, kind: code.kind().to_owned(), ..self }
    }

    /// Returns a refusal of these fields.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let said: Vec<_> = errors.iter().map(|error| format!("`{}` {}", error.field, error.message)).collect();
        let problem = Self::new(StatusCode::BAD_REQUEST).code(Code::InvalidFields);
        let mut problem = problem.detail(shortened(&format!("{}.", said.join("; "))));
        problem.errors = Some(errors);
        problem
    }

    /// Returns a refusal of somebody who is not known to be who they say.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED).detail(detail)
    }

    /// Returns a refusal of somebody who may not.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN).detail(detail)
    }

    /// Returns a refusal of what does not go with how things are.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT).detail(detail)
    }

    /// Returns a refusal of what is not there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND).detail(detail)
    }

    /// Returns a refusal of somebody who tries too often, until so many seconds have passed.
    pub(crate) fn too_many(detail: impl Into<String>, seconds: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS).detail(detail).header(header::RETRY_AFTER, seconds)
    }

    /// Returns a refusal of what can be done in so many seconds.
    pub(crate) fn unavailable(detail: impl Into<String>, seconds: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE).detail(detail).header(header::RETRY_AFTER, seconds)
    }

    /// Returns what was wrong with the fields.
    pub(crate) fn errors(&self) -> &[FieldError] {
        self.errors.as_deref().unwrap_or_default()
    }

    /// Returns whether programs are told this code.
    pub(crate) fn has_code(&self, code: Code) -> bool {
        self.code == code
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the sentence, or the status's name when there is none.
    pub(crate) fn sentence(&self) -> &str {
        self.detail.as_deref().unwrap_or(&self.title)
    }

    /// Returns the problem that an error of the framework, or of ours, amounts to.
    pub(crate) fn from_error(error: &poem::Error) -> Self {
        if let Some(problem) = error.downcast_ref::<Self>() {
            return problem.clone();
        }
        let problem = Self::new(error.status());
        let detail: Cow<'_, str> = if error.is::<NotFoundError>() {
            "Nothing was found at this address.".into()
        } else if error.is::<MethodNotAllowedError>() {
            "This address does not support the method. The header Allow lists those it supports.".into()
        } else if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
            format!("The body is invalid: {}.", tidy(&error.reason)).into()
        } else if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return Self::fields(vec![FieldError::new(error.name, format!("cannot be used: {}", tidy(&error.reason)))]);
        } else if let Some(error) = error.downcast_ref::<ParsePathError>() {
            return Self::fields(vec![FieldError::new(error.name, format!("cannot be used: {}", tidy(&error.reason)))]);
        } else if let Some(error) = error.downcast_ref::<ContentTypeError>() {
            match error {
                ContentTypeError::NotSupported { content_type } => {
                    format!("The content type {content_type} is not supported.").into()
                }
                ContentTypeError::ExpectContentType => {
                    "The Content-Type header is missing: application/json, or for a file application/octet-stream."
                        .into()
                }
            }
        } else if error.is::<ParseFormError>() || error.is::<ParseQueryError>() {
            match missing(&error.to_string()) {
                Some(name) => return Self::fields(vec![FieldError::new(&name, "is missing")]),
                None => "The form or query cannot be read.".into(),
            }
        } else if error.is::<PoemPathError>() {
            "The address cannot be read.".into()
        } else if error.status().is_server_error() {
            // What the framework says here is for the log.
            tracing::error!("A request failed: {error}");
            "An internal error occurred. See Hearth's log for details.".into()
        } else {
            format!("{error}.").into()
        };
        problem.detail(shortened(&detail))
    }
}

/// The longest detail that came from a framework, in characters: it may quote the request.
const LONGEST_DETAIL: usize = 300;

fn shortened(detail: &str) -> String {
    match detail.char_indices().nth(LONGEST_DETAIL) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail.to_owned(),
    }
}

/// Takes the names of internal types and the final full stop out of a framework's sentence.
fn tidy(reason: &str) -> &str {
    let reason = match reason.split_once(" (occurred while parsing") {
        Some((reason, _)) => reason,
        None => reason,
    };
    let reason = match reason.strip_prefix("failed to parse \"") {
        Some(rest) => rest.split_once("\": ").map_or(reason, |(_, rest)| rest),
        None => reason,
    };
    reason.trim_end_matches('.')
}

/// Returns the field that a form or query lacks: serde says ``missing field `email` ``.
fn missing(reason: &str) -> Option<String> {
    let (_, rest) = reason.split_once("missing field `")?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn as_response(&self) -> Response {
        let mut response = Response::builder()
            .status(self.status())
            .content_type(CONTENT_TYPE)
            .header(header::CACHE_CONTROL, "no-store")
            .body(self.to_json_string());
        if let Some((name, value)) = self.header.as_deref() {
            response.headers_mut().insert(name, value.clone());
        }
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            // RFC 9110, 15.5.2 asks for one. Not Basic, for which browsers would open a window of their own.
            let challenge = HeaderValue::from_static("Bearer realm=\"Hearth\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.as_response()
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Full => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE).detail("The server's disk is full. Nothing was saved.")
            }
            DbError::Refused(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE)
                .detail("The server cannot write to its disk. Nothing was saved."),
            DbError::Busy => Self::unavailable("The database is busy. Nothing was saved.", 1),
            DbError::Closed => Self::unavailable("Hearth is stopping. Nothing was saved.", 5),
            DbError::Damaged(_) | DbError::NotADatabase => {
                Self::unavailable("The database is damaged. The operator finds what to do in Hearth's log.", 60)
            }
            DbError::ReadOnly => Self::unavailable("The database is read-only.", 60),
            DbError::Other(text) => {
                tracing::error!("The database refused something: {text}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR)
                    .detail("An internal error occurred. See Hearth's log for details.")
            }
        }
    }
}

impl From<Problem> for Abort<Problem> {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// Makes a [`Problem`] the refusal of an operation, documented with each status that any operation gives; `app/document.rs` takes
/// those away that one cannot give.
macro_rules! refusal {
    ($(#[$doc:meta])* $name:ident: $($status:literal $description:literal,)*) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(Problem);

        impl<T: Into<Problem>> From<T> for $name {
            fn from(problem: T) -> Self {
                Self(problem.into())
            }
        }

        impl From<$name> for poem::Error {
            fn from(refusal: $name) -> Self {
                refusal.0.into()
            }
        }

        impl ApiResponse for $name {
            fn meta() -> MetaResponses {
                MetaResponses {
                    responses: vec![$(documented($status, $description)),*],
                }
            }

            fn register(registry: &mut Registry) {
                Problem::register(registry);
            }
        }
    };
}

fn documented(status: u16, description: &'static str) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema: Problem::schema_ref() }],
        headers: Vec::new(),
    }
}

refusal! {
    /// Why something could not be read.
    ReadRefused:
    400 "A parameter is invalid.",
    401 "Not signed in.",
    403 "The user is not allowed to do this.",
    404 "Not found, or not visible to the user.",
    410 "The cursor is from before a restore, or of another view: begin again without it.",
    416 "The range begins behind the end of the file.",
    421 "The name in the Host header is not configured.",
    500 "Internal error.",
    503 "Temporarily unavailable. The header Retry-After says when to retry.",
}

refusal! {
    /// Why something was not written. Nothing was changed then.
    WriteRefused:
    400 "The body or a parameter is invalid.",
    401 "Not signed in, or the credentials are wrong.",
    403 "The user is not allowed to do this, or the request comes from a page of another site.",
    404 "Not found, or not visible to the user.",
    408 "The body did not arrive in time.",
    409 "The request conflicts with the current state.",
    410 "An earlier request with this `Idempotency-Key` created it, and it was deleted since.",
    412 "It has changed since it was read: `If-Match` names another version.",
    413 "The body is too large.",
    415 "The body is not JSON.",
    421 "The name in the Host header is not configured.",
    422 "The `Idempotency-Key` was used for another request.",
    429 "Too many attempts. The header Retry-After says when to retry.",
    500 "Internal error.",
    503 "Temporarily unavailable. The header Retry-After says when to retry.",
    507 "The server's disk is full, or the quota for attachments is used up.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_code_and_what_is_special_says_more() {
        for status in (400..=431).chain(500..=511).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let problem = Problem::new(status);
            assert!(problem.to_json_string().contains("\"code\":\""), "{status}");
            assert_eq!(
                problem.code == Code::InternalError,
                status == 500 || (status.is_server_error() && !matches!(status.as_u16(), 503 | 507))
            );
        }
        let fresh = Problem::forbidden("Sign in again.").code(Code::SignInAgain).to_json();
        assert_eq!(fresh.as_ref().unwrap()["code"], "sign_in_again");
        assert_eq!(fresh.unwrap()["type"], "urn:hearth:sign-in-again");
        assert_eq!(
            Problem::fields(vec![FieldError::new("x", "is missing")]).to_json().unwrap()["code"],
            "invalid_fields"
        );
    }

    #[test]
    fn a_form_says_which_field_it_lacks() {
        assert_eq!(missing("failed to read form: missing field `email`").as_deref(), Some("email"));
        assert_eq!(missing("failed to read form"), None);
    }

    #[test]
    fn no_answer_shows_sql() {
        let error = DbError::Other("near SELECT: syntax error".to_owned());
        assert!(!Problem::from(error).to_json_string().contains("SELECT"));
    }

    #[test]
    fn a_full_disk_is_507_and_a_busy_database_says_when_to_come_back() {
        assert_eq!(Problem::from(DbError::Full).status().as_u16(), 507);
        let busy = Problem::from(DbError::Busy).into_response();
        assert_eq!(busy.status().as_u16(), 503);
        assert_eq!(busy.header("retry-after"), Some("1"));
        assert_eq!(busy.content_type(), Some(CONTENT_TYPE));
    }
}
