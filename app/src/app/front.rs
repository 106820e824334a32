//! What stands before every route?
//!
//! What is meant for another host is turned away, and so are foreign pages and whoever may not; errors become
//! problem+json (or a page, for a person's browser), 405 names the methods, and each answer gets its security headers.

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
};

use super::frame::Frames;
use crate::{
    auth::gate::{Gate, Passed},
    fault,
    html::{self, Frame},
    http::{API, Budget, DOCS, Entrance, Held, Problem, Size, check_origin, preflight, share, shows_token},
};

/// Pages run no script but ours, none within them, and nothing comes from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who signs out of a session that has ended has what they wanted.
const SIGN_OUT: &str = "/sign-out";

/// The middleware.
#[derive(Clone, Default)]
pub(super) struct Front {
    /// What the household's requests pass, and the supervisor's do not; and what its pages stand in.
    gate: Option<(Gate, Frames)>,
    budget: Budget,
}

impl Front {
    /// Returns the front before what the household reaches.
    pub(super) fn at(gate: Gate, frames: Frames, budget: &Budget) -> Self {
        Self { gate: Some((gate, frames)), budget: budget.clone() }
    }

    async fn admit(&self, request: &mut Request) -> std::result::Result<Passed, Problem> {
        let Some((gate, _)) = &self.gate else { return Ok(Passed::default()) };
        let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
        if gate.entrance == Entrance::TailscaleServe || peer.is_some_and(|peer| gate.hosts.proxies().trusts(peer)) {
            take_forwarded_host(request);
        }
        gate.hosts.check(request)?;
        if !shows_token(request) {
            check_origin(request, &gate.hosts)?;
        }
        gate.admit(request).await
    }

    /// The methods that a path answers.
    fn allow(&self, path: &str) -> HeaderValue {
        let methods = self.gate.as_ref().map_or(vec!["GET", "HEAD"], |(gate, _)| gate.access.methods(path));
        HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("GET, HEAD"))
    }
}

impl<E: Endpoint> Middleware<E> for Front {
    type Output = Fronted<E>;

    fn transform(&self, endpoint: E) -> Fronted<E> {
        Fronted { endpoint, front: self.clone() }
    }
}

/// An endpoint behind the front.
pub(super) struct Fronted<E> {
    endpoint: E,
    front: Front,
}

impl<E: Endpoint> Endpoint for Fronted<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let path = request.uri().path().to_owned();
        let by_a_person = is_for_a_person(&request, &path);
        let head = *request.method() == Method::HEAD;
        let wanted = request.original_uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let reads = head || *request.method() == Method::GET;
        let is_shared = path.starts_with(API) && shows_token(&request);
        let mut renewed = None;
        let admitted = self.front.admit(&mut request).await;
        let mut frame = Frame::default();
        if let Some((gate, frames)) = &self.front.gate
            && !path.starts_with(API)
        {
            frame = frames.of(&request, &gate.access);
            request.set_data(frame.clone());
        }
        let outcome = match admitted {
            Ok(passed) => {
                renewed = passed.cookie;
                let allowed = path.starts_with(API).then(|| preflight(&request, &self.front.allow(&path))).flatten();
                match allowed {
                    Some(response) => Ok(response),
                    None => self.endpoint.call(request).await.map(IntoResponse::into_response),
                }
            }
            Err(problem) if by_a_person && problem.status() == StatusCode::UNAUTHORIZED => {
                Ok(match reads || path == SIGN_OUT {
                    true => html::to_sign_in(reads.then_some(&*wanted)),
                    false => {
                        let form = form_of(&mut request, &self.front.budget).await;
                        html::session_over(&problem, &path, form.as_ref().map_or(&[][..], |form| &form.bytes))
                    }
                })
            }
            Err(problem) => Err(problem.into()),
        };
        let mut response = match outcome {
            Ok(response) => response,
            Err(error) => refuse(&error, by_a_person, &frame),
        };
        if self.front.gate.is_some() && !reads && response.status().as_u16() < 400 {
            fault::hit_later("app.wrote");
        }
        let headers = response.headers_mut();
        if let Some(cookie) = renewed.and_then(|cookie| HeaderValue::from_str(&cookie).ok())
            && !headers.contains_key(header::SET_COOKIE)
        {
            headers.append(header::SET_COOKIE, cookie);
        }
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        }
        if !headers.contains_key(header::REFERRER_POLICY) {
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            // What is for everybody says so.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if is_shared {
            share(headers);
        }
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allow = self.front.allow(&path);
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if head {
            response.set_body(());
        }
        Ok(response)
    }
}

/// Puts the name that the browser asked for in its place: to a unix socket `tailscale serve` says `Host: localhost`, and
/// the name in `X-Forwarded-Host`, which it sets itself. Other proxies are believed where `http.trusted_proxies` names them.
/// Some add theirs to what the client wrote (Apache): the last name is the proxy's own.
fn take_forwarded_host(request: &mut Request) {
    let names = request.headers().get_all("x-forwarded-host").iter().next_back();
    let last = names.and_then(|names| names.as_bytes().rsplit(|byte| *byte == b',').next());
    if let Some(Ok(name)) = last.map(|name| HeaderValue::from_bytes(name.trim_ascii())) {
        request.headers_mut().insert(header::HOST, name);
    }
}

/// The largest form that is given back to a user whose session has ended: the largest that pages send.
const KEPT_FORM: usize = 1 << 20;

/// Returns the form that a request sends; none when it is none, is too large, or too much is being sent at once.
async fn form_of(request: &mut Request, budget: &Budget) -> Option<Held> {
    let is_form = request.content_type().is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if is_form { budget.read(request, Size::Kept(KEPT_FORM)).await.ok() } else { None }
}

fn refuse(error: &poem::Error, by_a_person: bool, frame: &Frame) -> Response {
    let problem = Problem::from_error(error);
    if by_a_person { html::error_page(&problem, frame) } else { problem.into_response() }
}

/// Whether a person looks at the answer in a browser, and not a program.
fn is_for_a_person(request: &Request, path: &str) -> bool {
    (!path.starts_with("/api/") || path == DOCS)
        && path != "/health"
        && request
            .headers()
            .get_all(header::ACCEPT)
            .iter()
            .any(|accept| String::from_utf8_lossy(accept.as_bytes()).to_ascii_lowercase().contains("text/html"))
}
