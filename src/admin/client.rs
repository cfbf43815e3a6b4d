//! Speaking to a running proxy's admin address.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Where the admin address is, and the token it asks for.
#[derive(Clone, Debug)]
pub struct AdminClient {
    /// `host:port`.
    pub address: String,
    /// The token, when one is configured.
    pub token: Option<String>,
}

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for what ends by itself.
const LONG_PATIENCE: Duration = Duration::from_secs(3600);

impl AdminClient {
    /// Ask for a document.
    ///
    /// # Errors
    /// A sentence for a person: nobody there, not allowed, or what the proxy said.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.call(Method::GET, path, Bytes::new(), PATIENCE).await
    }

    /// Give an order or a signal.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn post(&self, path: &str, document: &impl serde::Serialize) -> Result<Value, String> {
        self.send(Method::POST, path, document, PATIENCE).await
    }

    /// Give an order that takes its time: the proxy knows how long it may take.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn post_and_wait(&self, path: &str, document: &impl serde::Serialize) -> Result<Value, String> {
        self.send(Method::POST, path, document, LONG_PATIENCE).await
    }

    /// Put something in its place.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn put(&self, path: &str, document: &impl serde::Serialize) -> Result<Value, String> {
        self.send(Method::PUT, path, document, PATIENCE).await
    }

    /// Take something away.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn delete(&self, path: &str, document: &impl serde::Serialize) -> Result<Value, String> {
        self.send(Method::DELETE, path, document, PATIENCE).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        document: &impl serde::Serialize,
        patience: Duration,
    ) -> Result<Value, String> {
        let body = serde_json::to_vec(document).map_err(|error| error.to_string())?;
        self.call(method, path, body.into(), patience).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes, patience: Duration) -> Result<Value, String> {
        let exchange = tokio::time::timeout(patience, self.exchange(method, path, body));
        let (status, body) = match exchange.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                return Err(format!(
                    "no Sluss answers at {}: {error}. Is it running, and is this its [admin] address? (--admin)",
                    self.address
                ));
            }
            Err(_) => return Err(format!("{} did not answer within {} s", self.address, patience.as_secs())),
        };
        let document: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(document);
        }
        let detail = document["detail"].as_str().unwrap_or("no reason given");
        if status == StatusCode::UNAUTHORIZED {
            return Err(format!("{detail} (--token, or the variable SLUSS_TOKEN)"));
        }
        Err(detail.to_owned())
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        driver.abort();
        Ok((status, body))
    }
}
