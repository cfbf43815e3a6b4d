//! One customer's connection: kept alive between steps, closed when the customer has had enough.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::AbortHandle;

use crate::admission::Refusal;
use crate::sim::clients::Ended;
use crate::sim::scenario::Step;

/// Where customers call from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Sources {
    /// Each from an address of its own in 127.1.0.0/16: 28,000 ports of one address would not last a surge, and
    /// nobody in front of the backends should see 7,000 customers as one.
    Many,
    /// All from 127.0.0.1, where the loopback interface has no other address (macOS).
    One,
}

impl Sources {
    /// What this machine has.
    pub(in crate::demo) fn find() -> Self {
        let probe = std::net::UdpSocket::bind((Ipv4Addr::new(127, 1, 0, 1), 0));
        if probe.is_ok() { Self::Many } else { Self::One }
    }

    /// The address of a customer.
    pub(super) fn of(self, customer: u64) -> Option<Ipv4Addr> {
        let octet = |n: u64| u8::try_from(n % 254 + 1).unwrap_or(1);
        (self == Self::Many).then(|| Ipv4Addr::new(127, 1, octet(customer / 254), octet(customer)))
    }
}

/// One attempt.
pub(in crate::demo) struct Errand<'a> {
    pub(in crate::demo) step: &'a Step,
    pub(in crate::demo) path: String,
    /// What it is for, by the name that the schedule has.
    pub(in crate::demo) event: Option<&'a str>,
    /// Whose it is.
    pub(in crate::demo) customer: u64,
    /// Its number, which no other attempt has.
    pub(in crate::demo) attempt: u64,
    /// The number of the bet, if it is one: the same over all attempts at it.
    pub(in crate::demo) bet: u64,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy)]
pub(in crate::demo) struct Heard {
    pub(in crate::demo) how: Ended,
    /// What a refusal called itself, where it was one of the proxy's.
    pub(in crate::demo) refusal: Option<Refusal>,
}

impl Heard {
    /// No answer, or none that can be read.
    pub(in crate::demo) fn nothing(how: Ended) -> Self {
        Self { how, refusal: None }
    }
}

/// A customer's way to the door: a connection if there is one, made when it is needed.
pub(in crate::demo) struct Line {
    door: SocketAddr,
    source: Option<Ipv4Addr>,
    connection: Option<Connection>,
    open: Rc<Open>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    served: AbortHandle,
    open: Rc<Open>,
}

/// Connections open just now, and the most there ever were.
#[derive(Debug, Default)]
pub(in crate::demo) struct Open {
    now: Cell<usize>,
    peak: Cell<usize>,
}

impl Open {
    fn more(&self) {
        self.now.set(self.now.get() + 1);
        self.peak.set(self.peak.get().max(self.now.get()));
    }

    fn less(&self) {
        self.now.set(self.now.get() - 1);
    }

    /// Just now.
    pub(in crate::demo) fn now(&self) -> usize {
        self.now.get()
    }

    /// The most so far.
    pub(in crate::demo) fn peak(&self) -> usize {
        self.peak.get()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Closes the socket even with an answer outstanding: that is what hanging up is.
        self.served.abort();
        self.open.less();
    }
}

impl Line {
    /// A line to this door, not yet connected.
    pub(in crate::demo) fn new(door: SocketAddr, source: Option<Ipv4Addr>, open: Rc<Open>) -> Self {
        Self { door, source, connection: None, open }
    }

    /// Hangs up.
    pub(in crate::demo) fn close(&mut self) {
        self.connection = None;
    }

    /// Sends one attempt and waits, however long it takes, for what comes of it.
    pub(in crate::demo) async fn ask(&mut self, errand: &Errand<'_>) -> Heard {
        let mut request = request(self.door, errand);
        // Twice at most: a kept connection may turn out to be closed. hyper hands the request back only when not a
        // byte of it was sent, so the attempt still goes out once.
        for _ in 0..2 {
            let Some(connection) = self.connected().await else {
                return Heard::nothing(Ended::Failed);
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => return self.hear(response).await,
                Err(mut error) => {
                    self.close();
                    match error.take_message() {
                        Some(unsent) => request = unsent,
                        None => return Heard::nothing(Ended::Failed),
                    }
                }
            }
        }
        Heard::nothing(Ended::Failed)
    }

    async fn connected(&mut self) -> Option<&mut Connection> {
        let alive = match &mut self.connection {
            Some(connection) => connection.sender.ready().await.is_ok(),
            None => false,
        };
        if !alive {
            self.connection = None;
            self.connection = Some(self.connect().await.ok()?);
        }
        self.connection.as_mut()
    }

    async fn connect(&self) -> std::io::Result<Connection> {
        let stream = self.dial().await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        let served = tokio::task::spawn_local(connection).abort_handle();
        self.open.more();
        Ok(Connection { sender, served, open: Rc::clone(&self.open) })
    }

    async fn dial(&self) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(source) = self.source {
            socket.bind((source, 0).into())?;
        }
        socket.connect(self.door).await
    }

    async fn hear(&mut self, response: http::Response<Incoming>) -> Heard {
        let (head, body) = response.into_parts();
        if body.collect().await.is_err() {
            self.close();
            return Heard::nothing(Ended::Failed);
        }
        Heard { how: ended(head.status, &head.headers), refusal: refusal(&head.headers) }
    }
}

/// What an answer means to a customer: what was asked for, or a no of whatever kind.
fn ended(status: StatusCode, headers: &HeaderMap) -> Ended {
    if status.is_success() {
        return Ended::Served;
    }
    let told = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    // The other form, a date, is not sent by anything a demo meets; it counts as not told.
    Ended::Refused(told.and_then(|told| told.trim().parse().ok()).map(Duration::from_secs))
}

/// What a no of the proxy's calls itself.
fn refusal(headers: &HeaderMap) -> Option<Refusal> {
    let said = headers.get("proxy-status")?.to_str().ok()?;
    let (_, details) = said.split_once("details=\"")?;
    let name = details.strip_suffix('"')?;
    Refusal::ALL.into_iter().find(|refusal| refusal.name() == name)
}

fn request(door: SocketAddr, errand: &Errand<'_>) -> Request<Full<Bytes>> {
    let step = errand.step;
    let mut request = Request::builder()
        .method(if step.carried { Method::POST } else { Method::GET })
        .uri(&errand.path)
        .header(header::HOST, door.to_string())
        .header("x-customer", format!("c{}", errand.customer))
        .header("x-attempt", errand.attempt);
    if let Some(event) = errand.event {
        request = request.header("x-event", event);
    }
    let mut body = String::new();
    if step.bet {
        request = request.header("idempotency-key", errand.bet);
        body = format!(r#"{{"event":"{}","stake_ore":5000}}"#, errand.event.unwrap_or_default());
    } else if step.carried {
        body = format!(r#"{{"customer":"c{}"}}"#, errand.customer);
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(Full::new(Bytes::from(body))).expect("names and values are plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &str) -> Ended {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().expect("a header value"));
        ended(StatusCode::SERVICE_UNAVAILABLE, &headers)
    }

    #[test]
    fn a_refusal_is_heard_with_its_time_to_come_back() {
        let after = |secs| Ended::Refused(Some(Duration::from_secs(secs)));
        assert_eq!(told("7"), after(7));
        assert_eq!(told(" 0 "), after(0));
        assert_eq!(told("soon"), Ended::Refused(None));
        assert_eq!(ended(StatusCode::BAD_GATEWAY, &HeaderMap::new()), Ended::Refused(None));
        assert_eq!(ended(StatusCode::OK, &HeaderMap::new()), Ended::Served);
    }

    #[test]
    fn a_refusal_is_known_by_its_name_and_a_fault_is_none() {
        let said = |status: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("proxy-status", http::HeaderValue::from_static(status));
            refusal(&headers)
        };
        let denied = "sluss; error=http_request_denied; details=\"not_your_turn\"";
        assert_eq!(said(denied), Some(Refusal::NotYourTurn));
        assert_eq!(said("sluss; error=connection_refused; details=\"backend_unreachable\""), None);
        assert_eq!(refusal(&HeaderMap::new()), None);
    }

    #[test]
    fn thousands_of_customers_have_thousands_of_addresses() {
        let all: std::collections::HashSet<_> = (0..7_000).map(|id| Sources::Many.of(id)).collect();
        assert_eq!(all.len(), 7_000);
        assert_eq!(Sources::One.of(5), None);
    }
}
