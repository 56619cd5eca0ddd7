//! What edges tell one another over their admin ports: ledgers and segments, with the relay token. It is no viewing,
//! and is not counted as such.

use super::token::Token;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lectern_media::ledger::{Entry, Ledger, ListProfile, Msn};
use lectern_media::rendition::{Rendition, SegmentKey};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::stream::hub::Hub;

/// A sibling is in the same cluster: one that does not accept in this time is away.
const CONNECT_MS: u64 = 500;
/// Ledgers are asked for each second: an answer after that is of no use.
const LEDGER_MS: u64 = 900;
/// A segment of 10 s at 30 Mbit/s has 38 MB: a second at gigabit speed, and some patience with a loaded sibling.
const SEGMENT_MS: u64 = 5_000;
/// 64 entries of about 300 bytes, and room.
const LEDGER_BYTES_MAX: usize = 1 << 20;
/// Twice the longest segment at the highest accepted bit rate.
const SEGMENT_BYTES_MAX: usize = 80 << 20;
/// Connections to one sibling that are kept.
const IDLE_CONNECTIONS_MAX: usize = 2;

/// The answer of `GET /relay/STREAM/ledger`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SiblingLedger {
    /// The ledger that it lists by.
    pub ledger: Ledger,
    /// What it can send.
    pub held: Vec<Msn>,
    /// What it can send beside the ledger.
    pub others: Vec<Entry>,
}

/// What the query of `GET /relay/STREAM/ledger` says.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// The best text of playlists that the asking edge writes.
    lists: ListProfile,
}

/// Asks siblings.
#[derive(Debug)]
pub struct Siblings {
    client: Client<HttpConnector, Empty<Bytes>>,
    token: Arc<Token>,
}

impl Siblings {
    /// Asks with `token`.
    #[must_use]
    pub fn new(token: Arc<Token>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_millis(CONNECT_MS)));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Self { client, token }
    }

    /// The ledger of `stream`, if the sibling answers in time.
    pub async fn ledger(&self, sibling: SocketAddr, stream: &str) -> Option<SiblingLedger> {
        let bytes = self
            .get(
                sibling,
                &format!("/relay/{stream}/ledger?lists={}", ListProfile::NEWEST.0),
                LEDGER_MS,
                LEDGER_BYTES_MAX,
            )
            .await?;
        match serde_json::from_slice(&bytes) {
            Ok(ledger) => Some(ledger),
            Err(error) => {
                tracing::debug!(%sibling, stream, %error, "failed to read the ledger of a sibling");
                None
            }
        }
    }

    /// A segment, if the sibling has it and sends it in time. Whether the bytes are right is for the caller to see.
    pub async fn segment(&self, sibling: SocketAddr, stream: &str, key: SegmentKey) -> Option<Bytes> {
        self.get(sibling, &format!("/relay/{stream}/{key}"), SEGMENT_MS, SEGMENT_BYTES_MAX).await
    }

    async fn get(&self, sibling: SocketAddr, path: &str, limit_ms: u64, bytes_max: usize) -> Option<Bytes> {
        let request = Request::get(format!("http://{sibling}{path}"))
            .header(AUTHORIZATION, self.token.bearer())
            .body(Empty::new())
            .ok()?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| error.to_string())?;
            if response.status() != StatusCode::OK {
                return Err(format!("{}", response.status()));
            }
            let body = Limited::new(response.into_body(), bytes_max).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
        };
        match tokio::time::timeout(Duration::from_millis(limit_ms), answer).await {
            Ok(Ok(bytes)) => Some(bytes),
            Ok(Err(error)) => {
                tracing::debug!(%sibling, path, error, "a sibling did not help");
                None
            }
            Err(_) => {
                tracing::debug!(%sibling, path, limit_ms, "a sibling did not answer in time");
                None
            }
        }
    }
}

/// The routes that answer siblings; part of the admin port.
pub fn routes(hub: Arc<Hub>, token: Arc<Token>) -> Router {
    Router::new().route("/relay/{stream}/{*what}", get(answer)).with_state((hub, token))
}

async fn answer(
    State((hub, token)): State<(Arc<Hub>, Arc<Token>)>,
    Path((stream, what)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    if !headers.get(AUTHORIZATION).is_some_and(|value| token.is_bearer(value)) {
        return (StatusCode::UNAUTHORIZED, "the relay token is needed here\n").into_response();
    }
    let Some(stream) = hub.stream(&stream) else {
        return (StatusCode::NOT_FOUND, "no such stream\n").into_response();
    };
    let snapshot = stream.snapshot.load();
    if what == "ledger" {
        let source = snapshot.segments.keys().filter(|key| key.rendition == Rendition::Source);
        let held = source.filter_map(|key| key.name.msn()).collect();
        return match snapshot.view.for_sibling(asked.lists) {
            Some((ledger, others)) => axum::Json(SiblingLedger { ledger, held, others }).into_response(),
            None => (StatusCode::CONFLICT, "the playlists of this ledger have a text that you do not write\n")
                .into_response(),
        };
    }
    match SegmentKey::parse(&what).and_then(|key| snapshot.segments.get(&key)) {
        Some(segment) => {
            ([(CONTENT_TYPE, segment.entry.profile.content_type())], segment.data.bytes.clone()).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such segment here\n").into_response(),
    }
}
