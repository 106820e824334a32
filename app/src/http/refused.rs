//! What becomes of a body that nobody reads, since its request was refused?
//!
//! It is still on its way, and a connection that closes before it has come takes the response along: the kernel sends a
//! reset, and a proxy says 502. So the rest is read and thrown away, for as long as a body may take.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, stream::BoxStream};
use hyper::body::Bytes;
use poem::{Body, Request, http::header};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::limits::BODY_TIMEOUT;

/// Has the body of a request read to its end, whatever the endpoint does with it.
pub(super) fn read_to_the_end(request: &mut Request) {
    let headers = request.headers();
    let has_body = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name));
    // A client that sends this waits for leave, and sends nothing after a refusal.
    if has_body && !headers.contains_key(header::EXPECT) {
        let body = request.take_body().into_bytes_stream().boxed();
        request.set_body(Body::from_bytes_stream(Rest { body: Some(body), until: Instant::now() + BODY_TIMEOUT }));
    }
}

/// A body, or what is left of it.
struct Rest {
    body: Option<BoxStream<'static, io::Result<Bytes>>>,
    until: Instant,
}

impl Stream for Rest {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let piece = body.poll_next_unpin(context);
        if matches!(piece, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        piece
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let (Some(mut body), Ok(runtime)) = (self.body.take(), Handle::try_current()) {
            let until = self.until;
            runtime
                .spawn(async move { timeout_at(until, async { while let Some(Ok(_)) = body.next().await {} }).await });
        }
    }
}
