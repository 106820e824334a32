//! How does a command speak to the running supervisor?

use std::{fs, io, os::unix::fs::MetadataExt, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::{socket::short, token};
use crate::{
    data::{DataDir, state::FORMAT},
    failure::{Cause, Failure},
};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 1024 * 1024;
/// How long an answer may take: a restart's is given once the app is being stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks; `None` when no supervisor runs on this data directory.
///
/// # Errors
/// The supervisor's refusal, or why it could not be asked.
pub async fn call<T: DeserializeOwned>(data: &DataDir, method: Method, path: &str) -> Result<Option<T>, Failure> {
    match tokio::time::timeout(PATIENCE, ask(data, method, path)).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(Failure::new(Cause::Busy, format!("the supervisor did not answer within {} s", PATIENCE.as_secs())))
        }
    }
}

async fn ask<T: DeserializeOwned>(data: &DataDir, method: Method, path: &str) -> Result<Option<T>, Failure> {
    let socket = data.control_socket();
    let trouble =
        |error: &io::Error| Failure::io(format!("cannot reach the supervisor at {}", socket.display()), error);
    let stream = match UnixStream::connect(short(&socket)).await {
        Ok(stream) => stream,
        // No socket, or one that a supervisor left behind.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(trouble(&error)),
    };
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if path != "/v1/health" {
        request = request.header("authorization", format!("Bearer {}", show_token(data, &stream)?));
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::new(Cause::Configuration, format!("cannot ask {path}: {error}")))?;
    let http = |error: hyper::Error| trouble(&io::Error::other(error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    tokio::task::spawn_local(connection);
    let answer = sender.send_request(request).await.map_err(http)?;
    let body =
        Limited::new(answer.into_body(), LONGEST).collect().await.map_err(|error| trouble(&io::Error::other(error)))?;
    let unreadable = |error: serde_json::Error| {
        Failure::new(Cause::UnknownFormat, format!("the supervisor's answer cannot be read: {error}"))
            .hint("a supervisor of another version may be running; use the command of its own image")
    };
    let document: Value = serde_json::from_slice(&body.to_bytes()).map_err(unreadable)?;
    if document["format"] != FORMAT {
        return Err(Failure::new(
            Cause::UnknownFormat,
            "the supervisor answers in a format that this command does not know",
        )
        .hint("a supervisor of another version is running; use the command of its own image"));
    }
    match document.get("error") {
        Some(error) => Err(serde_json::from_value(error.clone()).map_err(unreadable)?),
        None => serde_json::from_value(document).map(Some).map_err(unreadable),
    }
}

/// Returns the token once it is sure whom it is shown to: the server runs as the token's owner.
fn show_token(data: &DataDir, stream: &UnixStream) -> Result<String, Failure> {
    let path = data.token();
    let trouble = |error: io::Error| {
        Failure::io(format!("cannot read {}, which shows the supervisor that you may do this", path.display()), &error)
    };
    let owner = fs::metadata(&path).map_err(trouble)?.uid();
    let server = stream.peer_cred().map_err(trouble)?.uid();
    if server != owner && server != 0 {
        return Err(Failure::new(
            Cause::Permission,
            format!(
                "the process behind {} runs as uid {server}, but {} belongs to uid {owner}; it was not shown the token",
                data.control_socket().display(),
                path.display()
            ),
        ));
    }
    token::read(data).map_err(trouble)
}
