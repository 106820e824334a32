//! Which message does the operator get when an S3 server refuses a request?
//!
//! What it answers is XML with a code (`NoSuchBucket`) and a message; the codes that an operator can do something about
//! get a sentence of their own. Neither the request nor the whole answer is shown, since both may tell what was signed.

use std::{error, iter};

use object_store::{
    Error,
    client::{HttpError, HttpErrorKind},
};

use crate::{
    data::backup::printable,
    failure::{Cause, Failure},
    work::reach,
};

/// The longest part of what a server says that is shown.
const LONGEST: usize = 200;

/// Who was asked.
#[derive(Clone)]
pub(super) struct Server {
    /// `s3://bucket/prefix at https://host`.
    pub(super) name: String,
    pub(super) region: String,
    /// The proxy that is on the way there, with the setting that names it.
    pub(super) proxy: Option<String>,
}

impl Server {
    /// Makes a failure of an error; `doing` says what was being done ("cannot read 2026-….json").
    pub(super) fn explain(&self, doing: &str, error: &Error) -> Failure {
        let text = error.to_string();
        let code = between(&text, "<Code>", "</Code>").unwrap_or_default();
        let connection = chain(error).find_map(|error| error.downcast_ref::<HttpError>());
        let (cause, what, hint) = match connection {
            Some(connection) => self.explain_connection(connection),
            None => self.explain_answer(code, &text, error),
        };
        let failure = Failure::new(cause, format!("{doing} at {}: {what}", self.name));
        if hint.is_empty() { failure } else { failure.hint(hint) }
    }

    fn explain_answer(&self, code: &str, text: &str, error: &Error) -> (Cause, String, String) {
        let is = |status: &str| text.contains(&format!("status code: {status}"));
        let credentials = "check backup.s3_access_key_id and backup.s3_secret_access_key (or the file that credentials= names): list, read, write and delete must be allowed below the prefix";
        let region = || format!("add &region=… with the bucket's own to the destination; it is {} now", self.region);
        let said = |cause, what: &str, hint: &str| (cause, what.to_owned(), hint.to_owned());
        match code {
            "RequestTimeTooSkewed" | "RequestExpired" => {
                let now = crate::status::now();
                let what = format!("the clock here ({now}) and the server's differ too much");
                (
                    Cause::Io,
                    what,
                    "set this machine's clock, or wait until it has found the time by itself (NTP)".to_owned(),
                )
            }
            "InvalidAccessKeyId" => said(Cause::Permission, "the server does not know this access key", credentials),
            "SignatureDoesNotMatch" => {
                said(Cause::Permission, "the secret access key is not the one of this access key", credentials)
            }
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => {
                said(Cause::Permission, "the server does not allow it to this access key", credentials)
            }
            "NoSuchBucket" => said(
                Cause::Configuration,
                "there is no such bucket",
                "make the bucket, or mend its name in backup.destinations; Hearth makes none",
            ),
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => {
                (Cause::Configuration, "the bucket is in another region".to_owned(), region())
            }
            "QuotaExceeded"
            | "XMinioStorageFull"
            | "XMinioAdminBucketQuotaExceeded"
            | "InsufficientStorage"
            | "StorageCapExceeded" => {
                said(Cause::NoSpace, "its storage is full", "free some space there, or keep fewer backups")
            }
            _ if text.contains("redirect without LOCATION") => {
                (Cause::Configuration, "the bucket is in another region".to_owned(), region())
            }
            _ if chain(error).any(|error| error.to_string().contains("No CA certificates were loaded")) => said(
                Cause::Configuration,
                "this system has no root certificates, by which a server is known",
                "install the package ca-certificates, or name a file with them in SSL_CERT_FILE",
            ),
            "" if is("401") || is("403") => {
                said(Cause::Permission, "the server does not allow it to this access key", credentials)
            }
            "" if is("507") => {
                said(Cause::NoSpace, "its storage is full", "free some space there, or keep fewer backups")
            }
            "" if matches!(error, Error::NotFound { .. }) => said(Cause::Io, "it is not there", ""),
            "" => {
                let innermost = chain(error).last().map_or_else(|| text.to_owned(), ToString::to_string);
                (Cause::Io, shown(&innermost), String::new())
            }
            code => {
                let message = between(text, "<Message>", "</Message>").unwrap_or_default();
                let what = format!("the server says {}: {}", shown(code), shown(message));
                if is("401") || is("403") {
                    (Cause::Permission, what, credentials.to_owned())
                } else {
                    (Cause::Io, what, String::new())
                }
            }
        }
    }

    fn explain_connection(&self, error: &HttpError) -> (Cause, String, String) {
        let innermost = chain(error).last().map_or_else(|| error.to_string(), ToString::to_string);
        let innermost = shown(&innermost);
        if let Some(certificate) = chain(error).find_map(reach::certificate_error) {
            let what = format!("its certificate is not trusted ({innermost})");
            return (Cause::Configuration, what, reach::help_with(&certificate, std::env::var("SSL_CERT_FILE").ok()));
        }
        let (through, hint) = match &self.proxy {
            Some(proxy) => (format!(" through the proxy {proxy}"), reach::PROXY.to_owned()),
            None => (
                String::new(),
                "is the network up, and is the endpoint in backup.destinations the right one?".to_owned(),
            ),
        };
        match error.kind() {
            HttpErrorKind::Connect => (Cause::Io, format!("the server cannot be reached{through} ({innermost})"), hint),
            HttpErrorKind::Timeout => (Cause::Io, format!("the server does not answer{through}"), hint),
            _ => (Cause::Io, format!("the connection{through} broke ({innermost})"), hint),
        }
    }
}

/// Returns an error and what it came of, the innermost last.
fn chain<'a>(error: &'a (dyn error::Error + 'static)) -> impl Iterator<Item = &'a (dyn error::Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    text.split_once(from)?.1.split_once(to).map(|(between, _)| between)
}

/// Returns what comes from a server on one short line.
fn shown(text: &str) -> String {
    let short: String = text.trim().chars().take(LONGEST).collect();
    printable(&short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: &str, body: &str) -> Failure {
        let server = Server { name: "s3://house".into(), region: "us-east-1".into(), proxy: None };
        let source = format!("Server returned non-2xx status code: {status}: {body}");
        server.explain("cannot list the backups", &Error::Generic { store: "S3", source: source.into() })
    }

    #[test]
    fn what_an_operator_can_do_something_about_is_said() {
        for (status, code, cause, words, help) in [
            ("403 Forbidden", "RequestTimeTooSkewed", Cause::Io, "the clock here (", "NTP"),
            (
                "403 Forbidden",
                "InvalidAccessKeyId",
                Cause::Permission,
                "does not know this access key",
                "s3_access_key_id",
            ),
            (
                "403 Forbidden",
                "SignatureDoesNotMatch",
                Cause::Permission,
                "the secret access key is not",
                "s3_access_key_id",
            ),
            ("403 Forbidden", "NewWord", Cause::Permission, "the server says NewWord: Some words.", "s3_access_key_id"),
            ("404 Not Found", "NoSuchBucket", Cause::Configuration, "there is no such bucket", "make the bucket"),
            (
                "400 Bad Request",
                "AuthorizationHeaderMalformed",
                Cause::Configuration,
                "another region",
                "it is us-east-1 now",
            ),
            ("507 Insufficient Storage", "XMinioStorageFull", Cause::NoSpace, "its storage is full", "free some space"),
            ("400 Bad Request", "NewWord", Cause::Io, "the server says NewWord: Some words.", ""),
        ] {
            let body = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Some words.</Message><StringToSign>HUSH</StringToSign></Error>"
            );
            let failure = answered(status, &body);
            assert_eq!(failure.cause, cause, "{failure}");
            assert!(failure.message.starts_with("cannot list the backups at s3://house: "), "{failure}");
            assert!(failure.message.contains(words) && !failure.message.contains("HUSH"), "{failure}");
            assert!(failure.hint.clone().unwrap_or_default().contains(help), "{failure}");
        }
        assert_eq!(answered("403 Forbidden", "").cause, Cause::Permission);
        assert_eq!(answered("507 Insufficient Storage", "").cause, Cause::NoSpace);
    }

    #[test]
    fn what_a_server_says_is_one_short_line() {
        let failure =
            answered("500 Oh", &format!("<Code>\u{1b}[2J\n</Code><Message>{}</Message>", "long\n".repeat(9999)));
        assert!(failure.message.len() < 1000 && !failure.message.chars().any(char::is_control), "{failure}");
        let failure = answered("500 Oh", &"\u{1b}".repeat(9999));
        assert!(failure.message.len() < 2000 && !failure.message.chars().any(char::is_control), "{failure}");
    }
}
