//! How do requests come in, and what is the same for all answers?
//!
//! `sockets` finds the listening sockets, `acceptor` takes connections from them, `connections` speaks HTTP on them;
//! `host` tells whether a request is for this host and `origin` whether it is from this site, `limits` keeps requests to
//! their size and time, `pieces` reads a file as it comes, `range` and `disposition` are for how one is sent, `refused` reads what nobody else does, `guests` keeps connections to their share, `proxies` tells who is behind a proxy, `problem` is how each error reads and
//! `explain` which fields it names, `answers` is what success looks like. Nothing here knows a feature: the routes, and what stands before
//! them, are put together in `app`.

mod acceptor;
mod answers;
mod connections;
mod cookies;
mod disposition;
mod docs;
mod explain;
mod guests;
mod header;
mod host;
mod idempotency_key;
mod limits;
mod line;
mod optional_field;
mod origin;
mod parameter;
mod pieces;
mod precondition;
mod problem;
mod proxies;
mod range;
mod refused;
mod sockets;
mod text;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use poem::{Response, endpoint::BoxEndpoint};

pub(crate) use self::{
    acceptor::TcpAcceptor,
    answers::{After, ById, Created, Done, Found, Limit, Listed, Window},
    connections::{Server, Stop},
    cookies::{CookieNames, Purpose, named as with_cookie_names},
    disposition::{Disposition, disposition},
    docs::Docs,
    explain::Explain,
    guests::Guest,
    header::Header,
    host::{Hosts, is_https, is_meant_for},
    idempotency_key::IdempotencyKey,
    limits::{BodyLimit, Budget, Held, Size},
    line::{filled_line, first_unseen, is_unseen, line},
    optional_field::OptionalField,
    origin::{bearer_tokens, check_origin, preflight, share, shows_its_origin, shows_token},
    pieces::Pieces,
    precondition::{Precondition, entity_tag, has_already, has_tag},
    problem::{Code, FieldError, Problem, ReadRefused, WriteRefused},
    proxies::{Proxies, network},
    range::{Part, part},
    sockets::{NAMES as SOCKETS, Public, ServeSocket, Sockets},
    text::Text,
};

/// An endpoint with everything that stands before it.
pub(crate) type App = BoxEndpoint<'static, Response>;

/// Where the API lives; the version changes only when an old client would break.
pub(crate) const API: &str = "/api/v1";

/// Where the API's interactive page is.
pub(crate) const DOCS: &str = "/api/v1/docs";

/// What is encoded in an address: all but letters, digits and four marks (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a text as a part of an address has it.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// By which socket somebody came in; each request carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The one that the household reaches.
    Public,
    /// The one that nothing but `tailscale serve` reaches, which says who they are.
    TailscaleServe,
}
