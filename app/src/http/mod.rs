//! How do requests come in, and what is the same for all answers?
//!
//! `sockets` finds the listening sockets, `acceptor` takes connections from them, `connections` speaks HTTP on them;
//! `host` tells whether a request is for this host and `origin` whether it is from this site, `limits` keeps requests to
//! their size and time, `problem` is how each error reads. Nothing here knows a feature: the routes, and what stands before
//! them, are put together in `app`.

mod acceptor;
mod connections;
mod cookies;
mod given;
mod host;
mod limits;
mod origin;
mod problem;
mod sockets;
mod text;

use poem::{Response, endpoint::BoxEndpoint};

pub(crate) use self::{
    acceptor::TcpAcceptor,
    connections::{Server, Stop},
    cookies::{CookieNames, Purpose, named as with_cookie_names},
    given::Given,
    host::{Hosts, is_https, is_meant_for},
    limits::{BodyLimit, read_body},
    origin::{bearer_tokens, check_origin, preflight, share, shows_its_origin, shows_token},
    problem::{FieldError, Problem, ReadRefused, WriteRefused},
    sockets::{Public, ServeSocket, Sockets},
    text::Text,
};

/// An endpoint with everything that stands before it.
pub(crate) type App = BoxEndpoint<'static, Response>;

/// Where the API lives; the version changes only when an old client would break.
pub(crate) const API: &str = "/api/v1";

/// Larger JSON and forms are refused; notes of 100,000 characters with every one escaped fit.
pub(crate) const BODY_MAX: usize = 1 << 20;

/// By which socket somebody came in; each request carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The one that the household reaches.
    Public,
    /// The one that nothing but `tailscale serve` reaches, which says who they are.
    TailscaleServe,
}
