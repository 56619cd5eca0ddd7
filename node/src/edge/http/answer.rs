//! From a request to its answer. Nearly all are answered at once from a snapshot; the few that are a little ahead of
//! the stream wait (`waiting`).

use super::body::Body;
use super::connection::Connection;
use super::find::find;
use super::reply::{self, Problem};
use super::request::RequestHead;
use super::state::HttpState;
use super::{route, waiting};
use crate::edge::counting::Answered;
use futures::future::{Either, Ready, ready};
use http::header::{HOST, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// An answer, now or a little later.
pub type Answer = Either<
    Ready<Result<Response<Body>, Infallible>>,
    Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
>;

/// Answers one request. The request's body, if it has any, is not looked at.
pub fn answer<B>(state: &Arc<HttpState>, connection: &Arc<Connection>, request: Request<B>) -> Answer {
    connection.request_begins();
    let (parts, _) = request.into_parts();
    let head = RequestHead { method: parts.method, headers: parts.headers };
    let found = if has_its_host(parts.version, &head.headers) {
        find(state, connection, &head, &route::normal(parts.uri.path()))
    } else {
        Ok(reply::problem(Problem::NoHost))
    };
    match found {
        Ok(response) => Either::Left(ready(Ok(finish(state, connection, &head, response)))),
        Err(wanted) => {
            let (state, connection) = (Arc::clone(state), Arc::clone(connection));
            Either::Right(Box::pin(async move {
                let response = waiting::wait(&state, &connection, &head, wanted).await;
                Ok(finish(&state, &connection, &head, response))
            }))
        }
    }
}

/// HTTP/1.1 wants exactly one Host (RFC 9112, 3.2); HTTP/1.0 and HTTP/2 do not.
fn has_its_host(version: Version, headers: &HeaderMap) -> bool {
    version != Version::HTTP_11 || headers.get_all(HOST).iter().count() == 1
}

/// The headers and counts that every answer has.
fn finish(
    state: &HttpState,
    connection: &Arc<Connection>,
    head: &RequestHead,
    response: Response<Body>,
) -> Response<Body> {
    if let Some(class) = classify(response.status(), response.headers()) {
        state.hub.totals.answered(class);
    }
    let (mut answer, body) = response.into_parts();
    let playback = state.hub.playback.load();
    if head.method == Method::OPTIONS {
        playback.origins.preflight(&head.headers, &mut answer.headers);
    } else {
        playback.origins.allow(&head.headers, &mut answer.headers);
    }
    // A client that is to come again does better to come to another edge.
    let comes_again = answer.status == StatusCode::SERVICE_UNAVAILABLE;
    if comes_again || state.hub.closing.load(Relaxed) {
        connection.retire();
        reply::close(&mut answer.headers);
    }
    if connection.multiplexed {
        // HTTP/2 has no such header: the connection says goodbye itself.
        answer.headers.remove(http::header::CONNECTION);
    }
    Response::from_parts(answer, connection.answer_begins(body))
}

fn classify(status: StatusCode, headers: &HeaderMap) -> Option<Answered> {
    match status {
        StatusCode::OK if reply::is_playlist(headers) => Some(Answered::Playlist),
        StatusCode::OK if headers.contains_key(X_CONTENT_TYPE_OPTIONS) => Some(Answered::Page),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Some(Answered::Segment),
        StatusCode::NOT_MODIFIED => Some(Answered::NotModified),
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => Some(Answered::NotFound),
        StatusCode::SERVICE_UNAVAILABLE if reply::is_refusal(headers) => Some(Answered::Refused),
        status if status.is_server_error() => Some(Answered::Unavailable),
        status if status.is_client_error() => Some(Answered::NotFound),
        _ => None,
    }
}
