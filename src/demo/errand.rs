//! A tiny client for the demo's own errands: reading the plant, telling the proxy's admin. Not for measuring.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Failure;

const PATIENCE: Duration = Duration::from_secs(10);

/// `GET path`; status and body.
pub(super) async fn get(to: SocketAddr, path: &str) -> Result<(StatusCode, Bytes), Failure> {
    call(to, Method::GET, path, String::new()).await
}

/// `POST path` with a JSON body; status and body.
pub(super) async fn post(to: SocketAddr, path: &str, json: String) -> Result<(StatusCode, Bytes), Failure> {
    call(to, Method::POST, path, json).await
}

async fn call(to: SocketAddr, method: Method, path: &str, json: String) -> Result<(StatusCode, Bytes), Failure> {
    let what = format!("{method} http://{to}{path}");
    match tokio::time::timeout(PATIENCE, exchange(to, method, path, json)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure::new(format!("{what} failed: {error}"))),
        Err(_) => Err(Failure::new(format!("{what} was not answered within {} s", PATIENCE.as_secs()))),
    }
}

type Anything = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(to: SocketAddr, method: Method, path: &str, json: String) -> Result<(StatusCode, Bytes), Anything> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let served = tokio::task::spawn_local(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, to.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(json)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    served.abort();
    Ok((status, body))
}
