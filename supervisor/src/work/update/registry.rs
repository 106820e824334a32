//! How is a registry asked for the tags of an image?
//!
//! `GET /v2/<name>/tags/list` of the OCI distribution specification (1.1), page by page as `Link: …; rel="next"` leads, and
//! with the anonymous token that a challenge of the scheme Bearer asks for (Docker's token specification). A GET without
//! cookie, referrer or anything that tells one household from another.
//!
//! Everything that comes back is hostile: the whole is bounded in time, pages and bytes; the list is never asked of another
//! host, nor is a redirect followed; and TLS is left out only on this very machine.

use std::{error, io, iter, time::Duration};

use nix::errno::Errno;
use reqwest::{
    Certificate, Client, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LINK, WWW_AUTHENTICATE},
    redirect,
};
use serde_json::Value;

use super::header::{self, Bearer};
use crate::{
    config::image::{Reference, is_loopback},
    data::backup::printable,
    failure::{Cause, Failure},
    status::VERSION,
    work::{reach, roots},
};

/// How many tags are asked for at a time. A registry may give fewer; ghcr.io's most are 1,000.
const TAGS: u32 = 1000;
/// The most pages: tens of thousands of tags, even a hundred at a time.
const PAGES: usize = 1000;
/// The most bytes of all pages together: tens of thousands of tags of the longest kind.
const BYTES: usize = 16 << 20;
/// The longest answer with a token, in bytes. Those of ghcr.io and Docker Hub have some kilobytes.
const TOKEN: usize = 64 << 10;
/// The longest part of what a library says of an error that is shown.
const LONGEST: usize = 200;

/// Calls `each` with every tag of an image, as the registry lists them.
///
/// # Errors
/// Why they could not be had, all of them, `within` this time.
pub fn tags(image: &Reference, within: Duration, each: impl FnMut(&str)) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start what asks the registry", &error))?;
    let asked = runtime.block_on(async {
        let late = |_| {
            let what = format!("has not answered in full within {}", humantime::format_duration(within));
            Err(trouble(image, &what).hint(NETWORK))
        };
        tokio::time::timeout(within, async { Registry::new(image)?.read(each).await }).await.unwrap_or_else(late)
    });
    // A look-up of the host's name cannot be broken off, and is not waited for.
    runtime.shutdown_background();
    asked
}

/// What helps when nothing comes back.
const NETWORK: &str = "is the network up? Hearth runs on all the same, and asks again tomorrow";

struct Registry<'a> {
    image: &'a Reference,
    origin: Url,
    client: Client,
    /// The value of `Authorization`, once there is one; for the registry's own host alone.
    token: Option<HeaderValue>,
}

impl<'a> Registry<'a> {
    fn new(image: &'a Reference) -> Result<Self, Failure> {
        let origin = Url::parse(&image.origin())
            .map_err(|error| trouble(image, &format!("has no address of the web's ({error})")))?;
        // The process's own; if another part of it was first, that one was ring as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(format!("hearth/{VERSION}"))
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(Duration::from_secs(10))
            .https_only(!image.is_plain());
        if image.is_plain() {
            // On this machine: no proxy stands between, and no certificate is looked at (an image may have none).
            builder = builder.no_proxy().tls_certs_only([]);
        } else {
            builder =
                builder.tls_certs_merge(roots::missing().iter().filter_map(|root| Certificate::from_der(root).ok()));
        }
        let client = builder.build().map_err(|error| explain(image, &error))?;
        Ok(Self { image, origin, client, token: None })
    }

    /// Reads all pages.
    async fn read(mut self, mut each: impl FnMut(&str)) -> Result<(), Failure> {
        let mut page = self.origin.clone();
        page.set_path(&format!("/v2/{}/tags/list", self.image.name()));
        page.set_query(Some(&format!("n={TAGS}")));
        let mut left = BYTES;
        for _ in 0..PAGES {
            let answer = self.page(&page).await?;
            let next = texts(answer.headers(), LINK).find_map(|field| header::next(field).map(str::to_owned));
            let body = self.body(answer, left).await?;
            left -= body.len();
            let list: Value = serde_json::from_slice(&body).map_err(|_| self.garbage())?;
            match list.get("tags") {
                // What is no text is no version either.
                Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).for_each(&mut each),
                // So Debian's docker-registry says that there are none.
                Some(Value::Null) => {}
                _ => return Err(self.garbage()),
            }
            match next {
                None => return Ok(()),
                Some(next) => page = self.follow(&page, &next)?,
            }
        }
        Err(self.trouble(&format!("gives over {PAGES} pages of tags; it is not asked for more")))
    }

    /// Returns the address of the next page: another path or query, and never another host.
    fn follow(&self, page: &Url, link: &str) -> Result<Url, Failure> {
        let target = page.join(link).map_err(|_| self.garbage())?;
        if target.origin() != self.origin.origin() {
            return Err(self.trouble("says that its list goes on at another host, which is not asked"));
        }
        // Path and query alone: whatever else an address can hold is not for it to say.
        let mut next = self.origin.clone();
        next.set_path(target.path());
        next.set_query(target.query());
        Ok(next)
    }

    /// Asks for a page, with a token if that is wanted.
    async fn page(&mut self, page: &Url) -> Result<Response, Failure> {
        let answer = self.get(page.clone(), self.token.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED || self.token.is_some() {
            return self.well(answer);
        }
        let challenge = texts(answer.headers(), WWW_AUTHENTICATE).find_map(header::bearer);
        // Another scheme, such as Basic, wants a name and a password.
        let challenge = challenge.ok_or_else(|| self.sign_in())?;
        self.token = Some(self.token(&challenge).await?);
        let answer = self.get(page.clone(), self.token.clone()).await?;
        self.well(answer)
    }

    /// Fetches an anonymous token.
    async fn token(&self, challenge: &Bearer) -> Result<HeaderValue, Failure> {
        let mut realm = Url::parse(&challenge.realm).map_err(|_| self.garbage())?;
        let is_safe = realm.scheme() == "https"
            || realm.scheme() == "http" && self.image.is_plain() && realm.host_str().is_some_and(is_loopback);
        if !is_safe || !realm.username().is_empty() || realm.password().is_some() {
            return Err(self.trouble("sends for its sign-in to an address that cannot be trusted"));
        }
        let own = format!("repository:{}:pull", self.image.name());
        let scope = challenge.scope.as_ref().unwrap_or(&own);
        realm.query_pairs_mut().extend_pairs(challenge.service.iter().map(|service| ("service", service)));
        realm.query_pairs_mut().append_pair("scope", scope);
        let answer = self.well(self.get(realm, None).await?)?;
        let body = self.body(answer, TOKEN).await?;
        let document: Value = serde_json::from_slice(&body).map_err(|_| self.garbage())?;
        let token =
            ["token", "access_token"].iter().find_map(|name| document[name].as_str().filter(|it| !it.is_empty()));
        let token = token.ok_or_else(|| self.garbage())?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| self.garbage())?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn get(&self, url: Url, token: Option<HeaderValue>) -> Result<Response, Failure> {
        let mut request = self.client.get(url).header(ACCEPT, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        request.send().await.map_err(|error| explain(self.image, &error))
    }

    /// Returns an answer that is one.
    fn well(&self, answer: Response) -> Result<Response, Failure> {
        let status = answer.status();
        let again = "it is tried again tomorrow by itself";
        Err(match status {
            StatusCode::OK => return Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.sign_in(),
            StatusCode::NOT_FOUND => self
                .trouble(&format!("knows no image {}", self.image.name()))
                .hint("is update.image the image that this Hearth comes from?"),
            StatusCode::TOO_MANY_REQUESTS => {
                self.trouble("was asked too often from this address (429 Too Many Requests)").hint(again)
            }
            _ if status.is_redirection() => self
                .trouble(&format!("sends the question elsewhere ({status}), where it is not asked"))
                .hint("name the registry that answers in update.image"),
            _ => self.trouble(&format!("answers {status}")).hint(again),
        })
    }

    /// Reads a body of so many bytes at most.
    async fn body(&self, mut answer: Response, most: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| explain(self.image, &error))? {
            if body.len() + piece.len() > most {
                return Err(self.trouble("answers with more than can be a list of tags"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn sign_in(&self) -> Failure {
        self.trouble(&format!("wants a sign-in for {}", self.image.name()))
            .hint("Hearth asks without one: is update.image the right image, and is it public?")
    }

    fn garbage(&self) -> Failure {
        self.trouble("gives an answer that is no list of tags").hint("is there a registry behind update.image?")
    }

    fn trouble(&self, what: &str) -> Failure {
        trouble(self.image, what)
    }
}

/// Returns the values of a header field that are text.
fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

fn trouble(image: &Reference, what: &str) -> Failure {
    Failure::new(Cause::Io, format!("the registry {} {what}", image.registry()))
}

/// Makes a sentence of the client's error. Without addresses, which may hold what a registry has made up.
fn explain(image: &Reference, error: &reqwest::Error) -> Failure {
    let chain = || iter::successors(Some(error as &dyn error::Error), |&error| error.source());
    let os = chain().find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
    let innermost = match os {
        Some(number) => Errno::from_raw(number).desc().to_lowercase(),
        None => chain().last().map(ToString::to_string).unwrap_or_default().chars().take(LONGEST).collect(),
    };
    let innermost = printable(&innermost);
    if let Some(certificate) = chain().find_map(reach::certificate_error) {
        return trouble(image, &format!("presents a certificate that is not trusted ({innermost})"))
            .hint(reach::help_with(&certificate, std::env::var("SSL_CERT_FILE").ok()));
    }
    if chain().any(|error| error.to_string().contains("No CA certificates were loaded")) {
        return trouble(image, "cannot be verified: this system has no root certificates")
            .hint("install the package ca-certificates, or name a file with them in SSL_CERT_FILE");
    }
    let proxy =
        (!image.is_plain()).then(|| reach::proxy(Some(&image.origin()), |name| std::env::var(name).ok())).flatten();
    let through = proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
    let what = match error {
        _ if error.is_timeout() => format!("does not answer{through}"),
        _ if error.is_connect() => format!("cannot be reached{through} ({innermost})"),
        _ if error.is_builder() => format!("cannot be sent a request ({innermost})"),
        _ => format!("closed the connection, or does not speak HTTP ({innermost})"),
    };
    trouble(image, &what).hint(if proxy.is_some() { reach::PROXY } else { NETWORK })
}
