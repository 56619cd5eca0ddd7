//! The HTTP port: accepts, finds out what a connection is, and drives it to its end.

use super::answer::answer;
use super::connection::{Connection, HEAD_MS_MAX};
use super::live::FLV_TYPE;
use super::route::{self, Route};
use super::socket::Watched;
use super::state::HttpState;
use crate::edge::counting::Protocol;
use crate::edge::door::{self, Admitted};
use crate::edge::stream::hub::Stream;
use crate::edge::stream::wire::Form;
use crate::edge::viewers::{NewViewer, tune};
use crate::net::log_limit::LogLimit;
use crate::net::places::{Entered, Place, Seat};
use crate::net::socket;
use crate::net::wire::Wire;
use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Longest request head in bytes.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header lines of a request that is looked at before hyper does.
const HEADER_LINES_MAX: usize = 64;
/// Room for the first read: browsers and players fit.
const FIRST_READ_BYTES: usize = 2_048;
/// HTTP/2 requests at once on one connection: a player has two or three.
const STREAMS_PER_CONNECTION_MAX: u32 = 100;
/// What the kernel queues for a reader beyond what is in flight: as much as it keeps for viewers of RTMP and HTTP-FLV. A
/// reader that stalls holds no more than this until it is given up, whatever the size of the segment.
const UNSENT_BYTES_MAX: u32 = 256 << 10;
static NONCE: AtomicU64 = AtomicU64::new(0);

/// Serves until `stop`. Connections that are open then go on.
pub async fn serve(state: Arc<HttpState>, listener: TcpListener, stop: CancellationToken) {
    while let Some((socket, peer)) = socket::accept(&listener, "HTTP", &stop).await {
        if let Some(place) = take_place(&state) {
            tokio::spawn(connect(Arc::clone(&state), socket, peer, place));
        }
    }
}

fn take_place(state: &HttpState) -> Option<Place> {
    static LIMIT: LogLimit = LogLimit::new();
    let totals = &state.hub.totals;
    let (place, closed) = match state.places.enter(state.hub.clock.now_ms()) {
        Entered::Free(place) => return Some(place),
        Entered::Instead(place) => (Some(place), &totals.http_displaced),
        Entered::Full => (None, &totals.http_full),
    };
    closed.fetch_add(1, Relaxed);
    if let Some(suppressed) = LIMIT.allow() {
        let limit = state.places.limit();
        let kept = place.is_some();
        tracing::warn!(limit, kept, suppressed, "the HTTP port has no free place for a newcomer");
    }
    place
}

async fn connect(state: Arc<HttpState>, socket: Wire, peer: SocketAddr, place: Place) {
    state.hub.http_connections.fetch_add(1, Relaxed);
    tokio::select! {
        () = handle(&state, socket, peer, &place.seat) => {}
        () = place.seat.closed() => {}
    }
    state.hub.http_connections.fetch_sub(1, Relaxed);
}

async fn handle(state: &Arc<HttpState>, mut socket: Wire, peer: SocketAddr, seat: &Arc<Seat>) {
    if let Err(error) = socket.set_nodelay(true).and_then(|()| socket.bound_unsent(UNSENT_BYTES_MAX)) {
        tracing::trace!(%peer, %error, "gone before it began");
        return;
    }
    let connection = |multiplexed| {
        let nonce = NONCE.fetch_add(1, Relaxed);
        Connection::new(Arc::clone(&state.hub), Arc::clone(seat), peer, multiplexed, nonce)
    };
    let limit = Duration::from_millis(HEAD_MS_MAX);
    match timeout(limit, first_request(&mut socket)).await {
        Ok(Ok(First::Flv(bytes))) => {
            if let Some((stream, opening)) = flv_viewer(state, &bytes) {
                if tune(&socket).is_ok() {
                    state
                        .shards
                        .join(NewViewer { wire: socket, stream, form: Form::Flv, opening, session: None })
                        .await;
                }
                return;
            }
            drive(state, socket, bytes, connection(false)).await;
        }
        Ok(Ok(First::Http1(bytes))) => drive(state, socket, bytes, connection(false)).await,
        Ok(Ok(First::Http2(bytes))) => drive(state, socket, bytes, connection(true)).await,
        Ok(Err(_)) => {}
        Err(_) => {
            state.hub.totals.misbehaved.fetch_add(1, Relaxed);
        }
    }
}

enum First {
    /// A whole head that asks for HTTP-FLV.
    Flv(Bytes),
    /// Anything else, as far as it was read.
    Http1(Bytes),
    /// The preface of HTTP/2.
    Http2(Bytes),
}

/// Reads as much as it takes to tell.
async fn first_request(socket: &mut Wire) -> io::Result<First> {
    let mut bytes = BytesMut::with_capacity(FIRST_READ_BYTES);
    loop {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if bytes.starts_with(b"PRI ") {
            return Ok(First::Http2(bytes.freeze()));
        }
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let asks_flv = line.is_some_and(|end| is_flv_line(&bytes[..end]));
        if asks_flv && has_whole_head(&bytes) {
            return Ok(First::Flv(bytes.freeze()));
        }
        if (line.is_some() && !asks_flv) || bytes.len() > HEAD_BYTES_MAX {
            return Ok(First::Http1(bytes.freeze()));
        }
    }
}

/// The empty line came. A line may end with a line feed alone (RFC 9112, 2.2).
fn has_whole_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|end| end == b"\n\n") || bytes.windows(3).any(|end| end == b"\n\r\n")
}

fn is_flv_line(line: &[u8]) -> bool {
    let path = line.strip_prefix(b"GET ").and_then(|rest| rest.split(|byte| *byte == b' ').next());
    path.is_some_and(|path| path.split(|byte| *byte == b'?').next().unwrap_or_default().ends_with(b".flv"))
}

/// The stream and the head of the answer, if this request can be answered with a stream right now. All refusals and
/// oddities are hyper's business.
fn flv_viewer(state: &HttpState, head: &[u8]) -> Option<(Arc<Stream>, Bytes)> {
    let mut lines = [httparse::EMPTY_HEADER; HEADER_LINES_MAX];
    let mut request = httparse::Request::new(&mut lines);
    let parsed = request.parse(head).ok()?;
    if parsed != httparse::Status::Complete(head.len()) || request.method != Some("GET") {
        return None;
    }
    let path = request.path?.split('?').next()?;
    let Some(Route::Flv(name)) = route::parse(path) else { return None };
    let stream = door::find(&state.hub, name).ok()?;
    let Admitted { stream } = door::try_admit(&state.hub, &stream, Protocol::Flv).ok()?;
    let asked: HeaderMap = request
        .headers
        .iter()
        .filter_map(|line| {
            Some((HeaderName::from_bytes(line.name.as_bytes()).ok()?, HeaderValue::from_bytes(line.value).ok()?))
        })
        .collect();
    if request.version == Some(1) && asked.get_all(HOST).iter().count() != 1 {
        return None;
    }
    let mut headers = HeaderMap::new();
    state.hub.playback.load().origins.allow(&asked, &mut headers);
    Some((stream, flv_head(&headers)))
}

/// The body ends with the connection (RFC 9112, 6.3 point 8): no chunk framing, the same bytes for every viewer.
fn flv_head(cors: &HeaderMap) -> Bytes {
    let mut head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {FLV_TYPE}\r\ncache-control: no-store\r\nconnection: close\r\n")
            .into_bytes();
    for (name, value) in cors {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head.into()
}

async fn drive(state: &Arc<HttpState>, socket: Wire, already_read: Bytes, connection: Arc<Connection>) {
    let io = TokioIo::new(Watched::new(socket, already_read, Arc::clone(&connection)));
    let service = service_fn(|request| answer(state, &connection, request));
    if connection.multiplexed {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
        let owned = (Arc::clone(state), Arc::clone(&connection));
        let service = service_fn(move |request| answer(&owned.0, &owned.1, request));
        watch(state, &connection, http.serve_connection(io, service), |http| http.graceful_shutdown()).await;
    } else {
        let mut http = http1::Builder::new();
        // A client that has asked may close its side at once.
        http.max_buf_size(HEAD_BYTES_MAX).half_close(true);
        watch(state, &connection, http.serve_connection(io, service), |http| http.graceful_shutdown()).await;
    }
}

/// Drives a connection to its end, or until it has taken too long. The timer is only moved when a deadline comes nearer
/// than the one it is set to, so that a busy connection costs none.
async fn watch<C>(state: &HttpState, connection: &Connection, http: C, say_goodbye: impl Fn(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut http = pin!(http);
    let mut armed_ms = connection.deadline_ms();
    let instant = |at_ms| state.hub.clock.instant(at_ms);
    let mut timer = pin!(sleep_until(instant(armed_ms)));
    let mut said_goodbye = false;
    poll_fn(|cx| {
        if let Poll::Ready(result) = http.as_mut().poll(cx) {
            if let Err(error) = result {
                state.hub.totals.misbehaved.fetch_add(u64::from(error.is_parse()), Relaxed);
            }
            return Poll::Ready(());
        }
        if connection.multiplexed && connection.is_retired() && !said_goodbye {
            said_goodbye = true;
            say_goodbye(http.as_mut());
            cx.waker().wake_by_ref();
        }
        loop {
            let deadline_ms = connection.deadline_ms();
            if deadline_ms < armed_ms {
                armed_ms = deadline_ms;
                timer.as_mut().reset(instant(armed_ms));
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now_ms = state.hub.clock.now_ms();
            if now_ms >= deadline_ms && connection.is_overdue() {
                connection.give_up();
                return Poll::Ready(());
            }
            // It was set for a deadline that has moved on since.
            armed_ms = connection.deadline_ms().min(now_ms + HEAD_MS_MAX);
            timer.as_mut().reset(instant(armed_ms));
        }
    })
    .await;
}
