//! How are requests sent to the provider?
//!
//! Over TLS, but for one on this very machine; no redirect is followed (so that neither the code nor the client's secret goes
//! anywhere else: the crate's own advice), and time and size are bounded. TLS trusts the system's certificates, or
//! Mozilla's where the system has none.

use std::{
    error,
    future::Future,
    io, iter,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Request, redirect};
use tokio::sync::OnceCell;
use url::Url;

use crate::config::is_loopback;

/// The most bytes of an answer; a provider with a dozen keys has some ten kilobytes.
const LONGEST: usize = 512 << 10;
/// How long a connection may take, and a whole answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);
/// The longest part of what others say that is shown, in characters.
const SHOWN: usize = 200;

/// Why there is no answer; reads on from the provider's address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

/// What asks.
#[derive(Debug)]
pub(crate) struct Client {
    /// Whether the provider is on this machine and does without TLS.
    plain: bool,
    /// Made when it is first needed: it reads the system's root certificates.
    client: OnceCell<reqwest::Client>,
}

impl Client {
    /// Returns one for a provider; asks nobody yet.
    pub(crate) fn new(issuer: &str) -> Self {
        let plain = Url::parse(issuer).is_ok_and(|url| url.scheme() == "http" && is_loopback(&url));
        Self { plain, client: OnceCell::new() }
    }

    /// Returns whether an address may be asked, or a browser sent to it.
    pub(crate) fn may_ask(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.plain && url.scheme() == "http" && is_loopback(url)
    }

    fn build(&self) -> Result<reqwest::Client, Broken> {
        // The process's own; if another part of it was first, that one was ring as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("hearth/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .https_only(!self.plain);
        if self.plain {
            // On this machine: no proxy stands between, and no certificate is looked at (an image may have none).
            builder = builder.no_proxy().tls_certs_only([]);
        } else {
            builder = builder.tls_certs_merge(missing_roots());
        }
        builder.build().map_err(|error| explain(&error))
    }

    pub(super) async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, Broken> {
        let client = self.client.get_or_try_init(|| async { self.build() }).await?;
        let request = Request::try_from(request).map_err(|error| explain(&error))?;
        if !self.may_ask(request.url()) {
            return Err(Broken("names an address without TLS, which is not allowed".to_owned()));
        }
        let mut answer = client.execute(request).await.map_err(|error| explain(&error))?;
        let mut response = HttpResponse::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        while let Some(piece) = answer.chunk().await.map_err(|error| explain(&error))? {
            if response.body().len() + piece.len() > LONGEST {
                return Err(Broken("sends a response that is too large".to_owned()));
            }
            response.body_mut().extend_from_slice(&piece);
        }
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Client {
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Broken>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

/// Asks for tokens, and keeps the ID token aside as it came: what it says is for `id_token` to read.
pub(super) struct TokenClient<'c> {
    client: &'c Client,
    id_token: Mutex<Option<String>>,
}

impl<'c> TokenClient<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        Self { client, id_token: Mutex::default() }
    }

    /// Returns the ID token of the response.
    pub(super) fn into_id_token(self) -> Option<String> {
        self.id_token.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, Broken> {
        let mut response = self.client.ask(request).await?;
        if let Ok(mut tokens) = serde_json::from_slice::<serde_json::Map<_, _>>(response.body())
            && let Some(serde_json::Value::String(token)) = tokens.remove("id_token")
        {
            *self.id_token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
            *response.body_mut() = serde_json::Value::Object(tokens).to_string().into_bytes();
        }
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for TokenClient<'_> {
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Broken>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

/// Returns Mozilla's root certificates if the system has none, as in an image that is made from nothing. If it has some they
/// are what counts, and so is a file or directory that the operator names.
fn missing_roots() -> Vec<reqwest::Certificate> {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    if named || !rustls_native_certs::load_native_certs().certs.is_empty() {
        return Vec::new();
    }
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|root| reqwest::Certificate::from_der(root).ok()).collect()
}

/// Makes words of the client's error, without addresses: one may have the code in it.
fn explain(error: &reqwest::Error) -> Broken {
    let chain = || iter::successors(Some(error as &dyn error::Error), |&error| error.source());
    let io = chain().find_map(|error| error.downcast_ref::<io::Error>().filter(|io| io.raw_os_error().is_some()));
    let innermost = match io {
        Some(io) => io.to_string(),
        None => printable(&chain().last().map(ToString::to_string).unwrap_or_default()),
    };
    let says = |words: &str| chain().any(|error| error.to_string().contains(words));
    Broken(match error {
        _ if says("invalid peer certificate") => format!(
            "presents a certificate that is not trusted ({innermost}); if the certificate authority is your own, add it to \
             the system's root certificates, or name its file in SSL_CERT_FILE"
        ),
        _ if says("No CA certificates were loaded") => {
            "cannot be verified: this system has no root certificates (install the package ca-certificates)".to_owned()
        }
        _ if error.is_timeout() => "does not answer".to_owned(),
        _ if error.is_connect() => format!("cannot be reached ({innermost})"),
        _ if error.is_builder() => format!("cannot be sent a request ({innermost})"),
        _ => format!("closed the connection, or does not speak HTTP ({innermost})"),
    })
}

/// Returns what others said as one line that can be shown.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(SHOWN).collect()
}
