//! How much may a request send, and how long may it take?
//!
//! Anybody can send a body, and all that are under way at a time lie in memory. So strangers may send little, users what the
//! route takes, and together no more than there is of a [`Budget`]. Files are read piece by piece by the route itself.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use hyper::body::Bytes;
use poem::{
    Body, Endpoint, Middleware, Request, Result,
    http::{Method, StatusCode, header},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{guests::Guest, problem::Problem};

/// How long a body may take: at a mebibyte, a phone on a bad connection has 35 kB a second.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest body of somebody who is not signed in: to sign in by a passkey takes a few kilobytes.
const STRANGERS: usize = 16 * 1024;

/// All bodies together. Two dozen users may send the largest at once, and the recommended 512 MiB of memory are far away.
const ALL: usize = 32 << 20;
/// Of it, those of strangers: each of 512 connections may send the largest.
const ALL_STRANGERS: usize = 8 << 20;
/// And forms of users whose session has ended, which nobody can tell from strangers' ([`Size::Kept`]).
const ALL_KEPT: usize = 4 << 20;

/// How much the body of a request may hold; a stranger's unless the request carries another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Stranger,
    /// A user's, with what the route takes, in bytes.
    User(usize),
    /// A form that is given back, with so many bytes.
    Kept(usize),
    /// A user's file, which the route reads piece by piece and never holds as a whole ([`Pieces`](super::Pieces)).
    Streamed,
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Self::Stranger => STRANGERS,
            Self::User(bytes) | Self::Kept(bytes) => bytes,
            // Nothing of it is read here.
            Self::Streamed => 0,
        }
    }
}

/// What is left for bodies.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    kept: Arc<Semaphore>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(ALL)),
            strangers: Arc::new(Semaphore::new(ALL_STRANGERS)),
            kept: Arc::new(Semaphore::new(ALL_KEPT)),
        }
    }
}

/// A body, and its part of the budget until it is dropped.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    #[allow(dead_code, reason = "given back when it is dropped")]
    part: Vec<OwnedSemaphorePermit>,
}

impl Budget {
    /// Takes the body out of a request, unless it is larger than `size` or takes too long.
    pub(crate) async fn read(&self, request: &mut Request, size: Size) -> std::result::Result<Held, Problem> {
        let limit = size.bytes();
        let announced =
            request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large(size));
        }
        let body = request.take_body();
        match timeout(BODY_TIMEOUT, self.collect(body, size)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT)
                .detail(format!("The body did not arrive within {} s.", BODY_TIMEOUT.as_secs()))),
        }
    }

    /// Copies what arrives: hyper's own pieces are views of larger buffers, which they would keep.
    async fn collect(&self, body: Body, size: Size) -> std::result::Result<Held, Problem> {
        let (mut bytes, mut part) = (Vec::new(), Vec::new());
        let mut pieces = std::pin::pin!(body.into_bytes_stream());
        while let Some(piece) = pieces.next().await {
            let piece = piece
                .map_err(|_| Problem::new(StatusCode::BAD_REQUEST).detail("The body ended before it was complete."))?;
            if bytes.len() + piece.len() > size.bytes() {
                return Err(too_large(size));
            }
            if bytes.capacity() - bytes.len() < piece.len() {
                let more = (bytes.len().max(piece.len())).min(size.bytes() - bytes.len());
                part.extend(self.take(more, size).ok_or_else(too_many)?);
                bytes.reserve_exact(more);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Held { bytes: bytes.into(), part })
    }

    fn take(&self, bytes: usize, size: Size) -> Option<Vec<OwnedSemaphorePermit>> {
        let bytes = u32::try_from(bytes).ok()?;
        let take = |from: &Arc<Semaphore>| from.clone().try_acquire_many_owned(bytes).ok();
        let mut taken = vec![take(&self.all)?];
        match size {
            Size::Stranger => taken.push(take(&self.strangers)?),
            Size::Kept(_) => taken.push(take(&self.kept)?),
            Size::User(_) | Size::Streamed => {}
        }
        Some(taken)
    }
}

fn too_many() -> Problem {
    Problem::unavailable("The server is receiving too much data. Nothing was changed. Try again in a moment.", 2)
}

fn too_large(size: Size) -> Problem {
    let limit = match size.bytes() {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    };
    let who = if size == Size::Stranger { ", which is the limit for requests that are not signed in" } else { "" };
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(format!("The body is larger than {limit}{who}."))
}

/// Reads bodies before the endpoint sees them, within the request's [`Size`], the budget, and a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyLimit(pub(crate) Budget);

impl<E: Endpoint> Middleware<E> for BodyLimit {
    type Output = Limited<E>;

    fn transform(&self, endpoint: E) -> Limited<E> {
        Limited { endpoint, budget: self.0.clone() }
    }
}

/// An endpoint whose requests are limited.
pub(crate) struct Limited<E> {
    endpoint: E,
    budget: Budget,
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        let guest = request.data::<Arc<Guest>>().cloned();
        let answering = || guest.iter().for_each(|guest| guest.answer());
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            answering();
            return self.endpoint.call(request).await;
        }
        let size = request.data::<Size>().copied().unwrap_or(Size::Stranger);
        if size == Size::Streamed {
            answering();
            return self.endpoint.call(request).await;
        }
        let held = self.budget.read(&mut request, size).await?;
        request.set_body(Body::from_bytes(held.bytes.clone()));
        answering();
        self.endpoint.call(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(budget: &Budget, length: usize, size: Size) -> std::result::Result<Held, u16> {
        let mut request = Request::builder().method(Method::POST).body(vec![b'x'; length]);
        budget.read(&mut request, size).await.map_err(|problem| problem.status().as_u16())
    }

    #[tokio::test]
    async fn strangers_send_little_and_users_what_the_route_takes() {
        let budget = Budget::default();
        for (length, size, status) in [
            (STRANGERS, Size::Stranger, None),
            (STRANGERS + 1, Size::Stranger, Some(413)),
            (1 << 20, Size::User(1 << 20), None),
            ((1 << 20) + 1, Size::User(1 << 20), Some(413)),
            (1 << 20, Size::User(64 << 10), Some(413)),
            (0, Size::Stranger, None),
        ] {
            assert_eq!(send(&budget, length, size).await.err(), status, "{length} {size:?}");
        }
    }

    #[tokio::test]
    async fn all_bodies_together_have_one_budget_and_give_it_back() {
        let budget = Budget::default();
        let mut held = Vec::new();
        while let Ok(body) = send(&budget, STRANGERS, Size::Stranger).await {
            held.push(body);
        }
        assert_eq!(held.len(), ALL_STRANGERS / STRANGERS);
        // A user still sends, until the memory for all is used up; then everybody waits.
        let mut users = Vec::new();
        loop {
            match send(&budget, 1 << 20, Size::User(1 << 20)).await {
                Ok(body) => users.push(body),
                Err(status) => break assert_eq!(status, 503),
            }
        }
        assert_eq!(users.len(), (ALL - ALL_STRANGERS) >> 20);
        drop((held, users));
        assert!(send(&budget, 1 << 20, Size::User(1 << 20)).await.is_ok());
        assert_eq!(budget.all.available_permits(), ALL);
    }
}
