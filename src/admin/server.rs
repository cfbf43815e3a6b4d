//! The admin address: metrics, health, and a small JSON API.
//!
//! ```text
//! GET  /livez  /readyz  /metrics  /api/v1/status
//! POST /api/v1/orders   {"order": "park", "product": "horse-racing", "reason": "…", "who": "…"}
//! POST /api/v1/signals  {"signal": "close", "event": "…", "source": "…"}
//! POST /api/v1/backends {"order": "drain", "backend": "10.1.0.7:9101", "reason": "…", "who": "…"}
//! POST /api/v1/shift    {"product": "…", "order": "begin", "from": "…", "to": "…", "share": 50, "reason": "…", "who": "…"}
//! GET  /api/v1/events   /api/v1/events/{id}
//! PUT  /api/v1/events/{id}       {"product": "…", "stop": "2024-08-24T16:20:00+02:00", "name": "…", "reason": "…", "who": "…"}
//! DELETE /api/v1/events/{id}     {"reason": "…", "who": "…"}
//! POST /api/v1/events/{id}/stop  {"stop": "+15m", "reason": "…", "who": "…"}
//! POST /api/v1/schedule/reload   {"who": "…"}
//! POST /api/v1/upgrade           {"reason": "…", "who": "…"}
//! POST /api/v1/reload            {"who": "…"}
//! ```
//!
//! With a token configured, everything but health asks for `Authorization: Bearer …`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::backends::BackendRequest;
use super::control::Control;
use super::events::{MoveRequest, PutRequest, RemoveRequest};
use super::orders::Mistake;
use super::reload::ConfigRequest;
use super::schedule::ReloadRequest;
use super::shift::ShiftRequest;
use super::upgrade::UpgradeRequest;

/// The routes, for those who show the token that counts when they ask.
pub fn router(control: Arc<Control>) -> Router {
    let authorise = middleware::from_fn_with_state(control.clone(), authorised);
    routes(control, |guarded| guarded.layer(authorise))
}

/// The same, for the process that follows: who reaches this end of what the two have between them needs no token.
pub fn router_of_successor(control: Arc<Control>) -> Router {
    routes(control, |open| open)
}

fn routes(control: Arc<Control>, guard: impl FnOnce(Router<Arc<Control>>) -> Router<Arc<Control>>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(|State(control): State<Arc<Control>>| async move { Json(control.status()) }))
        .route("/api/v1/orders", post(orders))
        .route("/api/v1/signals", post(signals))
        .route("/api/v1/backends", post(backends))
        .route("/api/v1/shift", post(shift))
        .route("/api/v1/events", get(|State(control): State<Arc<Control>>| async move { Json(control.events()) }))
        .route("/api/v1/events/{id}", get(event).put(put_event).delete(remove_event))
        .route("/api/v1/events/{id}/stop", post(move_stop))
        .route("/api/v1/schedule/reload", post(reload))
        .route("/api/v1/upgrade", post(upgrade))
        .route("/api/v1/reload", post(reload_configuration))
        .layer(middleware::from_fn_with_state(control.clone(), pass_on));
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .merge(guard(guarded))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path") })
        .with_state(control)
}

async fn authorised(State(control): Controlled, request: Request, next: Next) -> Response {
    let Some(token) = control.token() else {
        // Without a token, a page in an operator's browser could give orders under a name of its own that it has
        // pointed at this machine; under an address or `localhost` it cannot.
        if request.method().is_safe() || is_local_name(request.headers().get(header::HOST)) {
            return next.run(request).await;
        }
        let text = "without a token, orders are taken only with an IP address or localhost in Host";
        return problem(StatusCode::FORBIDDEN, "strange_host", text);
    };
    let given = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
    if bool::from(given.ct_eq(token.as_bytes())) {
        return next.run(request).await;
    }
    let mut no = problem(StatusCode::UNAUTHORIZED, "unauthorised", "the admin token is missing or wrong");
    no.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    no
}

/// What is ordered here counts for those too who are still with the process before this one.
async fn pass_on(State(control): Controlled, request: Request, next: Next) -> Response {
    let changes = !request.method().is_safe() && request.uri().path() != "/api/v1/upgrade";
    if !changes || !control.handover.is_following() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MOST_ORDERED).await else {
        return problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "unclear",
            "this is more than any order says; nothing was changed",
        );
    };
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let answer = next.run(Request::from_parts(parts, body.clone().into())).await;
    if answer.status().is_success() {
        control.handover.pass_on(method, &path, body).await;
    }
    answer
}

/// Bytes of an order.
const MOST_ORDERED: usize = 1 << 20;

fn is_local_name(host: Option<&header::HeaderValue>) -> bool {
    let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(n, _)| n);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

async fn ready(State(control): State<Arc<Control>>) -> Response {
    if control.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn metrics(State(control): State<Arc<Control>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], control.metrics())
}

async fn orders(State(control): State<Arc<Control>>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    match to_the_end(&control.clone(), async move { control.order(&request).await }).await {
        Ok(applied) => Json(json!({ "applied": applied })).into_response(),
        Err(mistake) => no(&mistake),
    }
}

async fn backends(State(control): Controlled, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<BackendRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    told(&control.clone(), async move { control.order_backend(&request).await }).await
}

async fn shift(State(control): Controlled, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<ShiftRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    told(&control.clone(), async move { control.order_shift(&request).await }).await
}

async fn signals(State(control): State<Arc<Control>>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    match to_the_end(&control.clone(), async move { control.signal(&request).await }).await {
        Ok(heard) => Json(heard).into_response(),
        Err(mistake) => no(&mistake),
    }
}

async fn event(State(control): State<Arc<Control>>, Path(id): Path<String>) -> Response {
    control.event(&id).map_or_else(|mistake| no(&mistake), |event| Json(event).into_response())
}

async fn put_event(State(control): Controlled, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<PutRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    told(&control.clone(), async move { control.put_event(&id, &request).await }).await
}

async fn move_stop(State(control): Controlled, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<MoveRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    told(&control.clone(), async move { control.move_stop(&id, &request).await }).await
}

async fn remove_event(State(control): Controlled, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<RemoveRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    told(&control.clone(), async move { control.remove_event(&id, &request).await }).await
}

async fn reload(State(control): Controlled, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<ReloadRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    told(&control.clone(), async move { control.reload_schedule(&request.who).await }).await
}

async fn upgrade(State(control): Controlled, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<UpgradeRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    // Not an order like the others, which wait for it.
    match control.upgrade(&request).await {
        Ok(upgraded) => Json(upgraded).into_response(),
        Err(mistake) => no(&mistake),
    }
}

async fn reload_configuration(State(control): Controlled, headers: HeaderMap, body: Bytes) -> Response {
    let request = match parse::<ConfigRequest>(&headers, &body) {
        Ok(request) => request,
        Err(no) => return *no,
    };
    told(&control.clone(), async move { control.reload(&request.who).await }).await
}

async fn told<T: Serialize + Send + 'static>(
    control: &Control,
    act: impl Future<Output = Result<T, Mistake>> + Send + 'static,
) -> Response {
    to_the_end(control, act).await.map_or_else(|mistake| no(&mistake), |told| Json(told).into_response())
}

type Controlled = State<Arc<Control>>;

/// What has begun to take effect is written into the journal too, though whoever asked for it has hung up. Nothing begins
/// while the journal goes to another process.
async fn to_the_end<T: Send + 'static>(
    control: &Control,
    act: impl Future<Output = Result<T, Mistake>> + Send + 'static,
) -> Result<T, Mistake> {
    let Some(under_way) = control.handover.order() else {
        let text =
            "another process is just taking over (an upgrade); nothing was changed: give the order again in a second";
        return Err(Mistake::NotNow(text.into()));
    };
    let lost = |_| Err(Mistake::NotKept("it was cut short: look at `sluss status`".into()));
    let act = async move {
        let done = act.await;
        drop(under_way);
        done
    };
    tokio::spawn(act).await.unwrap_or_else(lost)
}

/// A browser can post forms and plain text across sites without asking; it asks before it posts JSON. So an
/// order must say that it is JSON, and a page in an operator's browser cannot park a product.
fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Box<Response>> {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if !kind.starts_with(b"application/json") {
        let text = "send JSON, with Content-Type: application/json";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", text).into());
    }
    serde_json::from_slice(body).map_err(|error| {
        let text = format!("{error}; nothing was changed");
        Box::new(problem(StatusCode::UNPROCESSABLE_ENTITY, "unclear", &text))
    })
}

fn no(mistake: &Mistake) -> Response {
    match mistake {
        Mistake::Unknown(text) => problem(StatusCode::NOT_FOUND, "unknown", text),
        Mistake::Unclear(text) => problem(StatusCode::UNPROCESSABLE_ENTITY, "unclear", text),
        Mistake::NotKept(text) => problem(StatusCode::INTERNAL_SERVER_ERROR, "not_kept", text),
        Mistake::Failed(text) => problem(StatusCode::CONFLICT, "failed", text),
        Mistake::NotNow(text) => {
            let mut no = problem(StatusCode::SERVICE_UNAVAILABLE, "not_now", text);
            no.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            no
        }
    }
}

fn problem(status: StatusCode, name: &str, detail: &str) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    let body = json!({
        "type": format!("urn:sluss:error:{name}"), "title": status.canonical_reason(), "status": status.as_u16(),
        "detail": detail,
    });
    (status, kind, body.to_string()).into_response()
}
