//! Orders that are passed on to the process before this one, as long as it finishes what it had: who waits there for a product
//! that is parked is told at once, as everybody is.
//!
//! By HTTP, over what the two have between them: the same requests that operators send. The one before does not write them
//! into the journal, which is not its own any more.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use axum::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use super::inherited::Predecessor;
use super::known;
use super::successor::Successor;
use crate::admin::control::Control;
use crate::admin::server::router_of_successor;

/// A way to the process before this one.
#[derive(Default)]
pub(super) struct Before {
    /// One order at a time, in the order in which they came.
    way: Arc<Mutex<Option<Way>>>,
    /// Lasts as long as the way does.
    conversation: OnceLock<AbortHandle>,
}

type Way = client::SendRequest<Full<Bytes>>;

tokio::task_local! {
    /// What is being carried out was ordered of the process that follows.
    static PASSED_ON: ();
}

/// How long an order here waits for the other to have carried it out too.
const PATIENCE: Duration = Duration::from_secs(2);

impl Before {
    /// Pass orders on to it from now on. To be called where its runtime goes on.
    pub(super) async fn is(&self, predecessor: Predecessor) -> io::Result<()> {
        let stream = predecessor.into_stream();
        stream.set_nonblocking(true)?;
        self.goes_over(stream).await
    }

    async fn goes_over(&self, stream: StdUnixStream) -> io::Result<()> {
        let shaken = client::handshake(TokioIo::new(UnixStream::from_std(stream)?)).await;
        let (sender, conversation) = shaken.map_err(io::Error::other)?;
        // It has one predecessor in its life.
        let _ = self.conversation.set(tokio::spawn(conversation).abort_handle());
        *self.way.lock().await = Some(sender);
        Ok(())
    }

    /// Whether it still finishes what it had.
    pub(super) fn is_here(&self) -> bool {
        self.conversation.get().is_some_and(|conversation| !conversation.is_finished())
    }

    /// Pass on what was ordered here. Comes back when that is carried out there, or has taken too long: it is told all the
    /// same then, for to leave off would close the way, and the next order with it.
    pub(super) async fn tell(&self, method: Method, path: &str, body: Bytes) {
        if !self.is_here() {
            return;
        }
        let request =
            Request::builder().method(method).uri(path).header(header::HOST, LOCAL).header(header::CONTENT_TYPE, JSON);
        let Ok(request) = request.body(Full::new(body)) else { return };
        let (way, order) = (self.way.clone(), path.to_owned());
        let told = tokio::spawn(async move {
            let told = exchange(way, request).await;
            if !told.as_ref().is_ok_and(StatusCode::is_success) {
                tracing::error!(
                    order,
                    ?told,
                    "the process before this one, which still finishes what it had, could not be told of an order"
                );
            }
        });
        if tokio::time::timeout(PATIENCE, told).await.is_err() {
            tracing::warn!(path, "the process before this one has not carried out an order yet");
        }
    }
}

/// One order, and all of its answer: what is left of it unread would close the way too.
async fn exchange(way: Arc<Mutex<Option<Way>>>, request: Request<Full<Bytes>>) -> io::Result<StatusCode> {
    let mut way = way.lock().await;
    let way = way.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    way.ready().await.map_err(io::Error::other)?;
    let answer = way.send_request(request).await.map_err(io::Error::other)?;
    let status = answer.status();
    answer.into_body().collect().await.map_err(io::Error::other)?;
    Ok(status)
}

const LOCAL: HeaderValue = HeaderValue::from_static("localhost");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Tell the process that follows what is known here, and carry out what it passes on, until either ends.
/// From the call on, this process does not end before the other knows.
pub fn serve_successor(successor: Successor, control: &Arc<Control>) -> impl Future<Output = ()> + use<> {
    let (farewells, control) = (control.handover.takes_leave(), Arc::downgrade(control));
    async move {
        tokio::spawn(known::hand_over(successor.known, control.clone(), farewells));
        serve_orders(successor.words, control).await;
    }
}

async fn serve_orders(words: UnixStream, control: Weak<Control>) {
    let service = service_fn(move |request: Request<Incoming>| carry_out(control.clone(), request));
    let _ = server::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(words), service).await;
}

async fn carry_out(
    control: Weak<Control>,
    request: Request<Incoming>,
) -> Result<axum::response::Response, std::convert::Infallible> {
    match control.upgrade() {
        Some(control) => {
            PASSED_ON.scope((), TowerToHyperService::new(router_of_successor(control)).call(request)).await
        }
        None => Ok(StatusCode::GONE.into_response()),
    }
}

/// Whether what is being carried out was ordered of the process that follows.
pub(super) fn is_passed_on() -> bool {
    PASSED_ON.try_with(|()| ()).is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A process that says what it was ordered, takes `LATE` over a reload, and answers in more than one piece.
    async fn predecessor(stream: StdUnixStream, ordered: mpsc::UnboundedSender<String>) {
        let service = service_fn(move |request: Request<Incoming>| {
            let ordered = ordered.clone();
            async move {
                if request.uri().path() == "/reload" {
                    sleep(LATE).await;
                }
                ordered.send(request.uri().path().to_owned()).unwrap();
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(vec![b'x'; 1 << 20]))))
            }
        });
        let stream = TokioIo::new(UnixStream::from_std(stream).unwrap());
        server::Builder::new().serve_connection(stream, service).await.unwrap();
    }

    const LATE: Duration = PATIENCE.saturating_add(Duration::from_millis(300));

    #[tokio::test]
    async fn an_order_that_takes_long_does_not_close_the_way_for_the_next() {
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        for end in [&ours, &theirs] {
            end.set_nonblocking(true).unwrap();
        }
        let (order, mut ordered) = mpsc::unbounded_channel();
        tokio::spawn(predecessor(theirs, order));
        let before = Before::default();
        assert!(!before.is_here());
        before.goes_over(ours).await.unwrap();
        let began = Instant::now();
        before.tell(Method::POST, "/reload", Bytes::new()).await;
        assert!(began.elapsed() < LATE, "whoever orders does not wait for ever");
        assert!(before.is_here());
        before.tell(Method::POST, "/park", Bytes::new()).await;
        assert_eq!(ordered.recv().await.as_deref(), Some("/reload"));
        assert_eq!(ordered.recv().await.as_deref(), Some("/park"), "betting stops there too");
        assert!(before.is_here());
    }
}
