//! Whose device is at this address?
//!
//! `GET /localapi/v0/whois?addr=100.64.0.1:5000` over tailscaled's unix socket, as `tailscale whois` asks it. Once per
//! connection; what comes back is bounded in time and size.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::UnixStream, time::timeout};

use super::{Peer, TailscaleIdentity};
use crate::http::encoded;

/// The host that tailscaled goes by on its socket.
const LOCAL: &str = "local-tailscaled.sock";
/// The longest answer, in bytes. A device with many addresses and capabilities has some ten kilobytes.
const LONGEST: usize = 256 << 10;
/// How long tailscaled is left alone after it could not be asked, so that not each page waits for it.
const PAUSE: Duration = Duration::from_secs(5);
/// The log is told once in this time that it cannot be asked.
const SAID: Duration = Duration::from_secs(60);

/// The tailscaled behind a socket.
#[derive(Debug)]
pub(crate) struct Tailscaled {
    socket: PathBuf,
    patience: Duration,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// When it could last not be asked.
    last: Option<Instant>,
    /// When the log was told so.
    said: Option<Instant>,
}

/// The part of the answer (`apitype.WhoIsResponse` of Tailscale's own client) that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    node: Node,
    user_profile: UserProfile,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UserProfile {
    #[serde(rename = "ID")]
    id: i64,
    login_name: String,
    #[serde(default)]
    display_name: String,
}

impl Tailscaled {
    /// Returns the one behind this socket, which may take so long.
    pub(crate) fn new(socket: PathBuf, patience: Duration) -> Self {
        Self { socket, patience, trouble: Mutex::default() }
    }

    /// Returns who is at the other end of a connection. That is asked once; but where tailscaled could not be asked, the
    /// next request tries again.
    pub(crate) async fn ask_once(&self, peer: &Peer, remote: SocketAddr) -> Option<TailscaleIdentity> {
        peer.0.get_or_try_init(|| self.ask(remote)).await.ok().cloned().flatten()
    }

    async fn ask(&self, remote: SocketAddr) -> Result<Option<TailscaleIdentity>, ()> {
        if self.is_left_alone() {
            return Err(());
        }
        let answered = match timeout(self.patience, self.whois(remote)).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("does not answer within {} s", self.patience.as_secs_f32())),
        };
        answered.map_err(|why| self.complain(&why))
    }

    async fn whois(&self, remote: SocketAddr) -> Result<Option<TailscaleIdentity>, String> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| format!("cannot be reached ({error})"))?;
        let broken = |error: hyper::Error| format!("breaks the connection off ({error})");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::get(format!("/localapi/v0/whois?addr={}", encoded(&remote.to_string())))
            .header(HOST, LOCAL)
            .body(Empty::<Bytes>::new())
            .map_err(|error| format!("cannot be asked ({error})"))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            match answer.status() {
                StatusCode::OK => {}
                // The address is none of the tailnet's.
                StatusCode::NOT_FOUND => return Ok(None),
                status => return Err(format!("answers {status}")),
            }
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            let body = body.map_err(|_| "breaks its answer off, or never ends it".to_owned())?;
            read(&body.to_bytes()).ok_or_else(|| "gives an answer that cannot be read".to_owned())
        };
        // The connection is driven here and ends with the answer: nothing is left behind, whatever tailscaled does.
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            ended = connection => match ended {
                // What was read before the end may be all there is.
                Ok(()) => answer.await,
                Err(error) => Err(broken(error)),
            },
        }
    }

    fn is_left_alone(&self) -> bool {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.last.is_some_and(|last| last.elapsed() < PAUSE)
    }

    /// Says that tailscaled cannot be asked, unless that was said a moment ago.
    fn complain(&self, why: &str) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.last = Some(Instant::now());
        if trouble.said.is_none_or(|said| said.elapsed() >= SAID) {
            trouble.said = trouble.last;
            tracing::warn!(
                "Signing in with Tailscale does not work: tailscaled behind {} (auth.tailscale_socket) {why}",
                self.socket.display()
            );
        }
    }
}

/// Returns whose device it is; `None` when this is no answer.
#[allow(clippy::option_option, reason = "nobody and no answer are two things")]
fn read(body: &[u8]) -> Option<Option<TailscaleIdentity>> {
    let Answer { node, user_profile: user } = serde_json::from_slice(body).ok()?;
    let is_tagged = node.tags.is_some_and(|tags| !tags.is_empty());
    if is_tagged || user.id == 0 {
        return Some(None);
    }
    Some(TailscaleIdentity::new(&user.login_name, &user.display_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tailscale::tailscaled::{Reply, StandIn};

    const ALICE: &str = "100.64.0.7:41234";

    async fn ask(stand_in: &StandIn, address: &str) -> Result<Option<String>, ()> {
        let tailscaled = Tailscaled::new(stand_in.socket(), Duration::from_millis(500));
        let identity = tailscaled.ask(address.parse().unwrap()).await?;
        Ok(identity.map(|identity| format!("{}|{}", identity.login, identity.name)))
    }

    #[tokio::test]
    async fn tailscaled_knows_the_people_and_devices_with_tags_are_nobody() {
        let stand_in = StandIn::start();
        stand_in.set(ALICE, Reply::user("alice@example.org", "Alice Ü."));
        stand_in.set("[fd7a:115c:a1e0::7]:41234", Reply::user("alice@example.org", ""));
        stand_in.set("100.64.0.8:1", Reply::Tagged);
        stand_in.set("100.64.0.9:1", Reply::user("", "Nobody"));
        stand_in.set(
            "100.64.0.10:1",
            Reply::Json(
                r#"{"Node":{"Tags":["tag:nas"]},"UserProfile":{"ID":1,"LoginName":"alice@example.org"}}"#.to_owned(),
            ),
        );
        stand_in.set(
            "100.64.0.11:1",
            Reply::Json(r#"{"Node":{"Tags":null},"UserProfile":{"ID":1,"LoginName":"a@b"}}"#.to_owned()),
        );
        for (address, known) in [
            (ALICE, Ok(Some("alice@example.org|Alice Ü."))),
            ("[fd7a:115c:a1e0::7]:41234", Ok(Some("alice@example.org|alice@example.org"))),
            ("100.64.0.8:1", Ok(None)),
            ("100.64.0.9:1", Ok(None)),
            ("100.64.0.10:1", Ok(None)),
            ("100.64.0.11:1", Ok(Some("a@b|a@b"))),
            ("192.168.1.2:1", Ok(None)),
        ] {
            assert_eq!(ask(&stand_in, address).await, known.map(|it: Option<&str>| it.map(str::to_owned)), "{address}");
        }
    }

    #[tokio::test]
    async fn who_cannot_be_asked_about_is_nobody() {
        let stand_in = StandIn::start();
        for reply in [
            Reply::Status(403),
            Reply::Status(500),
            Reply::Status(302),
            Reply::Silence,
            Reply::Garbage,
            Reply::CutOff,
            Reply::Endless,
            Reply::Json(String::new()),
            Reply::Json("null".to_owned()),
            Reply::Json("{}".to_owned()),
            Reply::Json(r#"{"Node":null,"UserProfile":null}"#.to_owned()),
            Reply::Json(r#"{"Node":{},"UserProfile":{"ID":"1","LoginName":"alice@example.org"}}"#.to_owned()),
            Reply::Json(r#"{"UserProfile":{"ID":1,"LoginName":"alice@example.org"}}"#.to_owned()),
        ] {
            stand_in.set(ALICE, reply.clone());
            assert_eq!(ask(&stand_in, ALICE).await, Err(()), "{reply:?}");
        }
        let nowhere = Tailscaled::new("/nowhere/tailscaled.sock".into(), Duration::from_secs(2));
        assert_eq!(nowhere.ask(ALICE.parse().unwrap()).await, Err(()));
    }

    #[tokio::test]
    async fn a_connection_is_asked_about_once() {
        let stand_in = StandIn::start();
        stand_in.set(ALICE, Reply::user("alice@example.org", "Alice"));
        let tailscaled = Tailscaled::new(stand_in.socket(), Duration::from_secs(2));
        let peer = Peer::default();
        for _ in 0..3 {
            assert!(tailscaled.ask_once(&peer, ALICE.parse().unwrap()).await.is_some());
        }
        assert_eq!(stand_in.asked(), [ALICE]);
        // A port is given to another device later; that is another connection.
        stand_in.set(ALICE, Reply::Tagged);
        assert!(tailscaled.ask_once(&Peer::default(), ALICE.parse().unwrap()).await.is_none());
        assert_eq!(stand_in.asked().len(), 2);
    }

    #[tokio::test]
    async fn after_trouble_it_is_left_alone_for_a_moment_and_asked_again() {
        let stand_in = StandIn::start();
        stand_in.set(ALICE, Reply::Status(500));
        let tailscaled = Tailscaled::new(stand_in.socket(), Duration::from_secs(2));
        let peer = Peer::default();
        for _ in 0..3 {
            assert!(tailscaled.ask_once(&peer, ALICE.parse().unwrap()).await.is_none());
        }
        assert_eq!(stand_in.asked().len(), 1);
        let said = tailscaled.trouble.lock().unwrap().said;
        assert!(said.is_some());
        tailscaled.trouble.lock().unwrap().last = Some(Instant::now() - PAUSE);
        assert!(tailscaled.ask_once(&peer, ALICE.parse().unwrap()).await.is_none());
        assert_eq!((stand_in.asked().len(), tailscaled.trouble.lock().unwrap().said), (2, said), "said once a minute");
        stand_in.set(ALICE, Reply::user("alice@example.org", "Alice"));
        tailscaled.trouble.lock().unwrap().last = Some(Instant::now() - PAUSE);
        assert!(tailscaled.ask_once(&peer, ALICE.parse().unwrap()).await.is_some());
    }

    #[test]
    fn an_address_is_safe_in_a_query() {
        assert_eq!(encoded("100.64.0.7:80"), "100.64.0.7%3A80");
        assert_eq!(encoded("[fd7a::7]:80"), "%5Bfd7a%3A%3A7%5D%3A80");
    }
}
