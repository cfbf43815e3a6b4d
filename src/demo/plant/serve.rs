//! HTTP in front of the model: what is asked is read from path and headers, nothing else is looked at.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Driver, Report};
use crate::admission::{Class, ProductId};
use crate::demo::script::Script;
use crate::sim::backend::{Answer, Ask};
use crate::sim::scenario::Step;

/// Serves one product's backend for as long as the plant stands.
pub(super) async fn backend(listener: TcpListener, product: ProductId, driver: Rc<Driver>) {
    loop {
        let Some(stream) = accept(&listener).await else {
            continue;
        };
        let driver = Rc::clone(&driver);
        let service = service_fn(move |request| {
            let driver = Rc::clone(&driver);
            async move { Ok::<_, Infallible>(work(&driver, product, request).await) }
        });
        tokio::task::spawn_local(http1::Builder::new().serve_connection(stream, service));
    }
}

/// Serves whoever watches: `GET /` tells how the plant feels and what it has counted, `POST /cool` makes the
/// product that was closed cold from now on.
pub(super) async fn control(listener: TcpListener, driver: Rc<Driver>) {
    loop {
        let Some(stream) = accept(&listener).await else {
            continue;
        };
        let driver = Rc::clone(&driver);
        let service = service_fn(move |request: Request<Incoming>| {
            if request.method() == Method::POST {
                driver.cool();
            }
            let report = serde_json::to_string(&Report::of(&driver.plant.borrow(), &driver.script));
            std::future::ready(report.map(|json| answer(StatusCode::OK, json)))
        });
        tokio::task::spawn_local(http1::Builder::new().serve_connection(stream, service));
    }
}

async fn accept(listener: &TcpListener) -> Option<TokioIo<tokio::net::TcpStream>> {
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are one small write; there is nothing to gather.
            let _ = stream.set_nodelay(true);
            Some(TokioIo::new(stream))
        }
        Err(_) => {
            // Out of descriptors, most likely. Without a pause this would be a busy loop.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            None
        }
    }
}

async fn work(driver: &Driver, product: ProductId, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(step) = step(&driver.script, product, request.method(), request.uri().path()) else {
        return answer(StatusCode::NOT_FOUND, r#"{"error":"no such page"}"#.into());
    };
    let headers = request.headers();
    let attempt =
        text(headers, "x-attempt").and_then(|id| id.parse().ok()).unwrap_or_else(|| driver.nameless_attempt());
    let key = text(headers, "idempotency-key").map(as_number);
    if request.into_body().collect().await.is_err() {
        return answer(StatusCode::BAD_REQUEST, r#"{"error":"half a request"}"#.into());
    }
    match driver.ask(Ask { route: step.route, attempt, key }).await {
        Answer::Done => answer(StatusCode::OK, page(driver.script.name(product), step, key)),
        Answer::Failed => answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"error":"too many are waiting"}"#.into()),
    }
}

fn step<'a>(script: &'a Script, product: ProductId, method: &Method, path: &str) -> Option<&'a Step> {
    let page = path.strip_prefix('/')?.strip_prefix(script.prefix(product))?.strip_prefix('/')?;
    let step = script.steps(product).find(|step| step.name == page)?;
    let as_customers_ask = match *method {
        Method::GET | Method::HEAD => !step.carried,
        Method::POST => step.carried,
        _ => false,
    };
    as_customers_ask.then_some(step)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Keys are opaque: a number is itself, anything else is hashed, for those who play with curl.
fn as_number(key: &str) -> u64 {
    key.parse().unwrap_or_else(|_| {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish()
    })
}

fn page(product: &str, step: &Step, key: Option<u64>) -> String {
    match step.class {
        _ if step.bet => format!(r#"{{"product":"{product}","placed":true,"receipt":"{}"}}"#, key.unwrap_or(0)),
        Class::Start => format!(r#"{{"product":"{product}","session":"open","balance_ore":125000}}"#),
        _ => format!(r#"{{"product":"{product}","odds":[2.10,3.40,4.75,6.00,8.50,11.00,15.00,21.00]}}"#),
    }
}

fn answer(status: StatusCode, json: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(json)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
