//! How much may a request send, and how long may it take?

use std::time::Duration;

use hyper::body::Bytes;
use poem::{
    Body, Endpoint, Middleware, Request, Result,
    error::ReadBodyError,
    http::{Method, StatusCode, header},
};
use tokio::time::timeout;

use super::problem::Problem;

/// How long a body of at most a mebibyte may take: a phone on a bad connection has 35 kB a second.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads bodies before the endpoint sees them, within a size and a time. Routes that take files get their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit {
    pub(crate) bytes: usize,
}

impl<E: Endpoint> Middleware<E> for BodyLimit {
    type Output = Limited<E>;

    fn transform(&self, endpoint: E) -> Limited<E> {
        Limited { endpoint, limit: *self }
    }
}

/// An endpoint whose requests are limited.
pub(crate) struct Limited<E> {
    endpoint: E,
    limit: BodyLimit,
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return self.endpoint.call(request).await;
        }
        let bytes = read_body(&mut request, self.limit.bytes).await?;
        request.set_body(Body::from_bytes(bytes));
        self.endpoint.call(request).await
    }
}

/// Takes the body out of a request, unless it is larger than `limit` or takes too long.
pub(crate) async fn read_body(request: &mut Request, limit: usize) -> std::result::Result<Bytes, Problem> {
    let announced = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let read = request.take_body().into_bytes_limit(limit);
    match timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(ReadBodyError::PayloadTooLarge)) => Err(too_large(limit)),
        Ok(Err(_)) => Err(cut_off()),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT)
            .detail(format!("The body did not arrive within {} s.", BODY_TIMEOUT.as_secs()))),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(format!("The body is larger than {} MiB.", limit >> 20))
}

fn cut_off() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail("The body ended before it was complete.")
}
