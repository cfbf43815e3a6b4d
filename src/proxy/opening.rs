//! What comes before the first request: whose the connection is, the handshake, and which protocol is spoken.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::Worker;
use super::neighbours::{Neighbour, TooMany};
use super::proxy_header;
use super::transport::{Socket, Transport};

/// A connection on which requests can come.
pub(super) struct Opened {
    pub(super) transport: Transport,
    pub(super) address: IpAddr,
    pub(super) protocol: Protocol,
    /// What counts it among those of the address that its header named.
    pub(super) neighbour: Option<Neighbour>,
}

/// What requests are spoken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Open a connection that was accepted.
///
/// # Errors
/// When there will be no request on it; what is to be counted has been.
pub(super) async fn open(stream: TcpStream, peer: SocketAddr, worker: &Worker) -> io::Result<Opened> {
    let mut socket = Socket::new(stream);
    let listen = &worker.settings.listen;
    let mut address = peer.ip().to_canonical();
    let mut neighbour = None;
    if listen.is_balancer(&address) {
        let told = Box::pin(proxy_header::read(&mut socket)).await.inspect_err(|error| {
            if error.kind() == ErrorKind::InvalidData {
                worker.metrics.proxy_header.increment(1);
            }
        })?;
        // The balancer's own are not counted. Before the handshake, which is what a flood would cost most.
        if let Some(told) = told {
            neighbour = worker.neighbour(told).map_err(|TooMany| ErrorKind::QuotaExceeded)?;
            address = told;
        }
    }
    let (transport, protocol) = match &worker.shared.tls {
        // Boxed: a handshake is large and soon over, and its place would be kept for as long as the connection lasts.
        Some(tls) => Box::pin(secure(tls, socket)).await?,
        None => {
            let protocol = if listen.http2.is_some() { spoken(&mut socket).await? } else { Protocol::Http1 };
            (Transport::Clear(socket), protocol)
        }
    };
    Ok(Opened { transport, address, protocol, neighbour })
}

async fn secure(tls: &super::tls::Tls, socket: Socket) -> io::Result<(Transport, Protocol)> {
    let stream = tls.acceptor().accept(socket).await;
    let stream = stream.inspect_err(|_| tls.metrics.failed())?;
    let connection = stream.get_ref().1;
    tls.metrics.made(connection.handshake_kind());
    let protocol = if connection.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
    Ok((Transport::Secure(Box::new(stream)), protocol))
}

/// What a client in the clear speaks. No method that is in use begins as the preface of HTTP/2 does (RFC 9113, section 3.4).
async fn spoken(socket: &mut Socket) -> io::Result<Protocol> {
    if socket.ahead().is_empty() {
        let mut first = [0; 3];
        // Only looked at: to take it and give it back would cost HTTP/1.1 an allocation.
        let seen = socket.tcp().peek(&mut first).await?;
        if let Some(protocol) = spoken_by(&first[..seen]) {
            return Ok(protocol);
        }
    }
    socket.read_ahead(spoken_by).await
}

/// What begins like this, if that can be told.
fn spoken_by(first: &[u8]) -> Option<Protocol> {
    let known = first.len().min(PREFACE.len());
    match first[..known] == PREFACE[..known] {
        false => Some(Protocol::Http1),
        true => (known == PREFACE.len()).then_some(Protocol::Http2),
    }
}

const PREFACE: &[u8; 3] = b"PRI";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bytes_tell_the_protocols_apart() {
        for (first, told) in [
            ("", None),
            ("P", None),
            ("PR", None),
            ("PRI * HTTP/2.0", Some(Protocol::Http2)),
            ("G", Some(Protocol::Http1)),
            ("PO", Some(Protocol::Http1)),
            ("PROPFIND", Some(Protocol::Http1)),
        ] {
            assert_eq!(spoken_by(first.as_bytes()), told, "{first}");
        }
    }
}
