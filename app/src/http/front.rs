//! What stands before every route?
//!
//! Foreign pages are turned away, errors become problem+json (or a page, for a person's browser), 405 names the
//! methods, and each answer gets its security headers.

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
};
use serde_json::Value;

use super::{origin, problem::Problem};
use crate::{records, web};

/// Pages hold no script, and nothing comes from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The API's documentation is one page with its script and style inside; it shows nothing that people entered.
pub(super) const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
                                      style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
                                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The middleware.
#[derive(Debug, Clone)]
pub(super) struct Front {
    addresses: Vec<Address>,
}

/// An address of the API and the methods it answers.
#[derive(Debug, Clone)]
struct Address {
    segments: Vec<String>,
    allow: HeaderValue,
}

impl Front {
    /// Returns the front before the API that `spec` describes, which lives below `prefix`.
    pub(super) fn new(spec: &str, prefix: &str) -> Self {
        let spec: Value = serde_json::from_str(spec).unwrap_or_default();
        let paths = spec["paths"].as_object().into_iter().flatten();
        let addresses = paths
            .filter_map(|(path, operations)| {
                let mut methods: Vec<_> = operations.as_object()?.keys().map(|method| method.to_uppercase()).collect();
                if methods.iter().any(|method| method == "GET") {
                    methods.push("HEAD".to_owned());
                }
                methods.sort();
                Some(Address {
                    segments: format!("{prefix}{path}").split('/').map(str::to_owned).collect(),
                    allow: HeaderValue::from_str(&methods.join(", ")).ok()?,
                })
            })
            .collect();
        Self { addresses }
    }

    /// The methods that a path answers. The pages and the rest are few: they are read, and only records are sent.
    fn allow(&self, path: &str) -> HeaderValue {
        let segments: Vec<_> = path.split('/').collect();
        let fits = |address: &&Address| {
            address.segments.len() == segments.len()
                && address
                    .segments
                    .iter()
                    .zip(&segments)
                    .all(|(pattern, segment)| pattern == segment || pattern.starts_with('{'))
        };
        match self.addresses.iter().find(fits) {
            Some(address) => address.allow.clone(),
            None if path == records::FORM_TARGET => HeaderValue::from_static("POST"),
            None => HeaderValue::from_static("GET, HEAD"),
        }
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

    async fn call(&self, request: Request) -> Result<Response> {
        let path = request.uri().path().to_owned();
        let by_a_person = is_for_a_person(&request, &path);
        let head = *request.method() == Method::HEAD;
        let outcome = match origin::check(&request) {
            Ok(()) => self.endpoint.call(request).await.map(IntoResponse::into_response),
            Err(problem) => Err(problem.into()),
        };
        let mut response = match outcome {
            Ok(response) => response,
            Err(error) => refuse(&error, by_a_person),
        };
        let headers = response.headers_mut();
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        }
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
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

fn refuse(error: &poem::Error, by_a_person: bool) -> Response {
    let problem = Problem::from_error(error);
    if by_a_person { web::error_page(&problem) } else { problem.into_response() }
}

/// Whether a person looks at the answer in a browser, and not a program.
fn is_for_a_person(request: &Request, path: &str) -> bool {
    !path.starts_with("/api/")
        && path != "/health"
        && request.header(header::ACCEPT).is_some_and(|accept| accept.contains("text/html"))
}
