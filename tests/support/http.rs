//! Asking servers: one request, one answer.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::time::Duration;

/// Longest time for an answer.
const ANSWER: Duration = Duration::from_secs(15);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field as text; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

/// `GET url`.
///
/// # Errors
/// When there is no answer. Every status is an answer.
pub async fn get(url: &str) -> Result<Answer> {
    request(Method::GET, url, &[]).await
}

/// A request with header fields, on a connection of its own.
///
/// # Errors
/// When there is no answer. Every status is an answer.
pub async fn request(method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let ask = ask(method, url, headers);
    tokio::time::timeout(ANSWER, ask).await.with_context(|| format!("no answer from {url}"))?
}

async fn ask(method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let uri: hyper::Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
    let authority = uri.authority().context("a URL without a host")?.as_str().to_owned();
    let stream =
        tokio::net::TcpStream::connect(&authority).await.with_context(|| format!("failed to connect to {url}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let mut request = Request::builder().method(method).uri(path).header("host", &authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await.with_context(|| format!("failed to ask {url}"))?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.with_context(|| format!("failed to read {url}"))?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

/// `GET url` as JSON.
///
/// # Errors
/// When there is no answer, or it is no JSON.
pub async fn json(url: &str) -> Result<serde_json::Value> {
    let answer = get(url).await?;
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("{url} said {} and no JSON: {}", answer.status, answer.text()))
}
