//! HTTPS: accepts, asks for a client certificate without insisting, and has `routes` answer.
//!
//! Certificate, authorities and names are read anew at each connection; when the authorities change, connections that
//! were made under the old ones end.

mod room;

use super::rounds::Outcome;
use super::routes::{self, Known, Peer};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use room::{Room, Seat, Stage};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Longest wait for the head of a request; idle connections end after it, too, and API servers connect again.
const HEAD: Duration = Duration::from_secs(90);
/// Requests at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Largest head of a request in bytes.
const HEAD_BYTES_MAX: u32 = 16 << 10;
/// What bodies there are is read up to here: a GET has none.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Pause after a failed accept (no descriptors left): the next one would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests under way get this long when connections end.
const FINISH: Duration = Duration::from_secs(5);

/// What connections are served with.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Certificate and authorities.
    pub tls: Arc<ServerConfig>,
    /// Names that the front proxy may have; empty: every one.
    pub allowed_names: Arc<[String]>,
    /// Tokens of the operator.
    pub tokens: Arc<[String]>,
    /// Cancelled when the authorities are others.
    pub outdated: CancellationToken,
}

/// What answers are made of.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The last round.
    pub outcome: watch::Receiver<Arc<Outcome>>,
    /// Why no requests should come, if so.
    pub not_ready: watch::Receiver<Option<&'static str>>,
    /// How connections are served; None until there is a certificate.
    pub serving: watch::Receiver<Option<Serving>>,
}

/// Serves until `stop`, then lets requests under way finish.
pub async fn serve(listener: TcpListener, facts: Facts, stop: CancellationToken) {
    let room = Arc::new(Room::default());
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, _)) => {
                let (facts, stop) = (facts.clone(), stop.clone());
                let seat = room.enter();
                connections.spawn(connection(tcp, seat, facts, stop));
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    let _ = tokio::time::timeout(FINISH, connections.wait()).await;
}

async fn connection(tcp: TcpStream, seat: Seat, facts: Facts, stop: CancellationToken) {
    let Some(serving) = facts.serving.borrow().clone() else { return };
    let _ = tcp.set_nodelay(true);
    let handshake = TlsAcceptor::from(Arc::clone(&serving.tls)).accept(tcp);
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(HANDSHAKE, handshake) => accepted,
        () = seat.evicted() => return,
    };
    let tls = match accepted {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let peer = peer(tls.get_ref().1.peer_certificates());
    seat.advance(match &peer {
        Peer::Anonymous => Stage::Anonymous,
        Peer::Certified(_) => Stage::Certified,
    });
    let outdated = serving.outdated.clone();
    let used = Arc::new(seat);
    let seat = Arc::clone(&used);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (facts, serving, peer) = (facts.clone(), serving.clone(), peer.clone());
        used.touch();
        async move {
            let (head, body) = request.into_parts();
            let _ = http_body_util::Limited::new(body, BODY_BYTES_MAX).collect().await;
            Ok::<_, Infallible>(answer(&head, &peer, &facts, &serving))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(HEAD);
    let served = builder.serve_connection(TokioIo::new(tls), service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        // It was idle longest: there is nothing to finish.
        () = seat.evicted() => return,
        () = stop.cancelled() => {}
        () = outdated.cancelled() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(FINISH, served).await;
}

fn answer(head: &http::request::Parts, peer: &Peer, facts: &Facts, serving: &Serving) -> routes::Reply {
    let outcome = facts.outcome.borrow().clone();
    // The tokens of this moment: the operator may have read a newer key than this connection began with.
    let tokens = facts.serving.borrow().as_ref().map_or_else(|| serving.tokens.clone(), |now| now.tokens.clone());
    let known = Known {
        outcome: (outcome.round.ended_ms > 0).then_some(&*outcome),
        allowed_names: &serving.allowed_names,
        tokens: &tokens,
        not_ready: *facts.not_ready.borrow(),
        now_ms: u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0),
    };
    routes::answer(&head.method, &head.uri, &head.headers, peer, &known)
}

/// TLS has verified the certificate; here is only who it names. One without a name is none of the allowed ones.
fn peer(certificates: Option<&[CertificateDer<'_>]>) -> Peer {
    let Some(first) = certificates.and_then(|all| all.first()) else { return Peer::Anonymous };
    let name = x509_parser::parse_x509_certificate(first).ok().and_then(|(_, certificate)| {
        let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
        Some(name.to_owned())
    });
    Peer::Certified(name.unwrap_or_default())
}

#[cfg(test)]
mod tests;
