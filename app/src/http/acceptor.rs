//! To which address of this machine did a connection come?
//!
//! poem's own acceptor names the listener's for each, which for one on all addresses is none. Who asks tailscaled about the
//! other end has to know whether that is this very machine.

use std::{io, net::TcpListener};

use poem::{
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::net::TcpStream;

/// Accepts connections over TCP.
pub(crate) struct TcpAcceptor(tokio::net::TcpListener);

impl TcpAcceptor {
    /// Takes a listener that does not block.
    pub(crate) fn from_std(listener: TcpListener) -> io::Result<Self> {
        tokio::net::TcpListener::from_std(listener).map(Self)
    }
}

impl Acceptor for TcpAcceptor {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.0.local_addr().map(|address| LocalAddr(address.into())).into_iter().collect()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, LocalAddr, RemoteAddr, Scheme)> {
        let (socket, remote) = self.0.accept().await?;
        let local = socket.local_addr()?;
        Ok((socket, LocalAddr(local.into()), RemoteAddr(remote.into()), Scheme::HTTP))
    }
}
