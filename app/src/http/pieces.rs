//! How is a file received that does not fit into memory?
//!
//! Piece by piece, each of which goes to the disk before the next is read. It may come slowly, but it must move: a piece that is
//! not full within the time for a body is the last.

use std::io;

use futures_util::{StreamExt, stream::BoxStream};
use hyper::body::Bytes;
use poem::{Body, http::StatusCode};
use tokio::time::{Instant, timeout_at};

use super::{limits::BODY_TIMEOUT, problem::Problem};

/// How much is in memory of a body at a time.
const PIECE: usize = 64 << 10;

/// Why there is no next piece though the body is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Too little came in the time.
    Slow,
    /// The client went away.
    Ended,
}

impl From<Cut> for Problem {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Slow => Self::new(StatusCode::REQUEST_TIMEOUT).detail(format!(
                "Less than {} KiB arrived within {} s.",
                PIECE >> 10,
                BODY_TIMEOUT.as_secs()
            )),
            Cut::Ended => Self::new(StatusCode::BAD_REQUEST).detail("The body ended before it was complete."),
        }
    }
}

/// A body that is read as it comes.
pub(crate) struct Pieces {
    body: BoxStream<'static, io::Result<Bytes>>,
    /// What came beyond the last piece.
    left: Bytes,
    cut: Option<Cut>,
}

impl Pieces {
    /// Returns the pieces of this body.
    pub(crate) fn of(body: Body) -> Self {
        Self { body: body.into_bytes_stream().boxed(), left: Bytes::new(), cut: None }
    }

    /// Returns the next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// Why the body is cut off. All that came before has been returned.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        if let Some(cut) = self.cut {
            return Err(cut);
        }
        let (mut piece, until) = (Vec::with_capacity(PIECE), Instant::now() + BODY_TIMEOUT);
        while piece.len() < PIECE {
            if self.left.is_empty() {
                match timeout_at(until, self.body.next()).await {
                    Ok(Some(Ok(bytes))) => self.left = bytes,
                    Ok(None) => break,
                    Ok(Some(Err(_))) => self.cut = Some(Cut::Ended),
                    Err(_) => self.cut = Some(Cut::Slow),
                }
            }
            match self.cut {
                Some(cut) if piece.is_empty() => return Err(cut),
                Some(_) => break,
                None => piece.extend_from_slice(&self.left.split_to(self.left.len().min(PIECE - piece.len()))),
            }
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn pieces(parts: Vec<io::Result<Vec<u8>>>) -> Pieces {
        Pieces::of(Body::from_bytes_stream(stream::iter(parts.into_iter().map(|part| part.map(Bytes::from)))))
    }

    #[tokio::test]
    async fn a_body_comes_in_pieces_of_one_size_however_it_was_sent() {
        for part in [1000, PIECE, PIECE + 1, 3 * PIECE] {
            let whole: Vec<u8> = (0..5 * PIECE + 7).map(|number| (number % 251) as u8).collect();
            let mut pieces = pieces(whole.chunks(part).map(|part| Ok(part.to_vec())).collect());
            let mut came = Vec::new();
            while let Some(piece) = pieces.next().await.unwrap() {
                assert!(piece.len() == PIECE || piece.len() == 7, "{}", piece.len());
                came.extend(piece);
            }
            assert_eq!(came, whole, "{part}");
        }
        assert_eq!(pieces(Vec::new()).next().await, Ok(None));
    }

    #[tokio::test]
    async fn what_came_before_a_body_was_cut_off_is_returned() {
        let mut pieces = pieces(vec![Ok(vec![7; 10]), Err(io::ErrorKind::ConnectionReset.into())]);
        assert_eq!(pieces.next().await, Ok(Some(vec![7; 10])));
        for _ in 0..2 {
            assert_eq!(pieces.next().await, Err(Cut::Ended));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_move_is_cut_off() {
        let body = stream::iter([Ok(Bytes::from_static(b"x"))]).chain(stream::pending::<io::Result<Bytes>>());
        let mut pieces = Pieces::of(Body::from_bytes_stream(body));
        assert_eq!(pieces.next().await, Ok(Some(b"x".to_vec())));
        assert_eq!(pieces.next().await, Err(Cut::Slow));
    }
}
