//! Asking backends how they are, on one thread for all workers and past admission: a check must not wait for a seat.
//!
//! Each check is a connection of its own: an idle one would tell how that connection is, not whether a customer's would be
//! accepted. A connection that is refused counts as one that a customer's request was refused.

mod grpc;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

use super::backend::Backend;
use super::settings::HealthSettings;
use super::standing::Standing;
use super::stream::BackendIo;
use super::upstream::greeting::{Accepted, Greeted};
use super::upstream::request;
use crate::admission::random::Random;

pub(crate) use grpc::MOST_NAME;

/// Check one backend until it is removed.
pub(super) async fn keep_checking(standing: Arc<Standing>, backend: Arc<Backend>, settings: HealthSettings) {
    let since_start = standing.clock.now().since_start().as_nanos() as u64;
    let mut random = Random::new(since_start.rotate_left(16) ^ u64::from(backend.settings.address.port()));
    // Not all at once: a tenth of the interval apart at the most, from the first on.
    let mut pause = random.between(Duration::ZERO, settings.interval / 10);
    loop {
        sleep(pause).await;
        if backend.is_removed() {
            return;
        }
        let checked = check(&standing, &backend, &settings);
        let late = || Err(format!("no answer within {:?}", settings.timeout));
        standing.checked(&backend, timeout(settings.timeout, checked).await.unwrap_or_else(|_| late()));
        pause = random.between(settings.interval * 9 / 10, settings.interval * 11 / 10);
    }
}

async fn check(standing: &Standing, backend: &Backend, settings: &HealthSettings) -> Result<(), String> {
    let accepted = standing.connect(backend, false).await.map_err(|error| error.to_string())?;
    let status = match (accepted, &settings.grpc) {
        (Accepted::Http2(greeted), Some(service)) => {
            let Greeted { requests, connection, .. } = *greeted;
            let head = request::head(&grpc::head(request(backend, settings)), standing.tls.is_some());
            return while_driven(grpc::call(requests, head, service), connection).await;
        }
        (Accepted::Http1(_), Some(_)) => return Err("it does not speak HTTP/2, and so no gRPC".to_owned()),
        (Accepted::Http1(stream), None) => ask(stream, backend, settings).await.map_err(|error| error.to_string())?,
        (Accepted::Http2(greeted), None) => {
            let Greeted { mut requests, connection, .. } = *greeted;
            let head = request::head(&request(backend, settings), standing.tls.is_some());
            let (answer, _) = requests.send_request(head, true).map_err(|error| error.to_string())?;
            while_driven(answer, connection).await.map_err(|error| error.to_string())?.status()
        }
    };
    let expected = settings.expect.iter().any(|range| range.contains(&status.as_u16()));
    if expected { Ok(()) } else { Err(format!("it answered {status}")) }
}

/// What comes of `answer`, which comes over this connection. The connection is driven here, and ends with the check whatever
/// it still has to say.
async fn while_driven<T>(answer: impl Future<Output = T>, connection: impl Future) -> T {
    let mut answer = pin!(answer);
    tokio::select! {
        biased;
        answered = &mut answer => answered,
        // It may end in the moment in which it has delivered the answer.
        _ = connection => answer.await,
    }
}

async fn ask(stream: BackendIo, backend: &Backend, settings: &HealthSettings) -> hyper::Result<StatusCode> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = request(backend, settings).map(|()| Empty::<Bytes>::new());
    request.headers_mut().insert(header::CONNECTION, CLOSE);
    while_driven(sender.send_request(request), connection).await.map(|answer| answer.status())
}

fn request(backend: &Backend, settings: &HealthSettings) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = settings.method.clone();
    *request.uri_mut() = settings.path.clone();
    // An address of a name that has several is called `host:port@address`.
    let own = backend.settings.name.split('@').next().unwrap_or_default();
    let host = settings.host.clone().or_else(|| own.parse().ok());
    request.headers_mut().extend(host.map(|host| (header::HOST, host)));
    request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
    request
}

const USER_AGENT: header::HeaderValue = header::HeaderValue::from_static("sluss-check");
const CLOSE: header::HeaderValue = header::HeaderValue::from_static("close");
