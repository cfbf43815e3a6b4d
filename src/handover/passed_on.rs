//! Orders that are passed on to the process before this one, as long as it finishes what it had: who waits there for a product
//! that is parked is told at once, as everybody is.
//!
//! By HTTP, over what the two have between them: the same requests that operators send. The one before does not write them
//! into the journal, which is not its own any more.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::inherited::Predecessor;
use super::known;
use super::successor::Successor;
use crate::admin::control::Control;
use crate::admin::server::router_of_successor;

/// A way to the process before this one.
#[derive(Default)]
pub(super) struct Before(Mutex<Option<client::SendRequest<Full<Bytes>>>>);

tokio::task_local! {
    /// What is being carried out was ordered of the process that follows.
    static PASSED_ON: ();
}

/// How long the other may take over an order.
const PATIENCE: Duration = Duration::from_secs(2);

impl Before {
    /// Pass orders on to it from now on. To be called where its runtime goes on.
    pub(super) async fn is(&self, predecessor: Predecessor) -> io::Result<()> {
        let stream = predecessor.into_stream();
        stream.set_nonblocking(true)?;
        let shaken = client::handshake(TokioIo::new(UnixStream::from_std(stream)?)).await;
        let (sender, conversation) = shaken.map_err(io::Error::other)?;
        tokio::spawn(conversation);
        *self.0.lock().await = Some(sender);
        Ok(())
    }

    /// Whether it still finishes what it had.
    pub(super) async fn is_here(&self) -> bool {
        self.0.lock().await.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Pass on what was ordered here.
    pub(super) async fn tell(&self, method: Method, path: &str, body: Bytes) {
        let mut sender = self.0.lock().await;
        let Some(sender) = sender.as_mut().filter(|sender| !sender.is_closed()) else { return };
        let request =
            Request::builder().method(method).uri(path).header(header::HOST, LOCAL).header(header::CONTENT_TYPE, JSON);
        let Ok(request) = request.body(Full::new(body)) else { return };
        let told = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        match told {
            Ok(Ok(answer)) if answer.status().is_success() => {}
            other => tracing::error!(
                path,
                answer = ?other.map(|answer| answer.map(|answer| answer.status())),
                "the process before this one, which still finishes what it had, could not be told of an order"
            ),
        }
    }
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
        None => Ok(axum::http::StatusCode::GONE.into_response()),
    }
}

/// Whether what is being carried out was ordered of the process that follows.
pub(super) fn is_passed_on() -> bool {
    PASSED_ON.try_with(|()| ()).is_ok()
}
