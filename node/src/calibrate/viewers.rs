//! Viewers: tasks of this process that do on the loopback what players do, and count what they got.
//!
//! They look at as little as they can and let the kernel drop the rest, so that the machine is left to the edge.

use crate::args::Protocol;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinSet;

pub mod http;
mod live;
mod player;

/// A viewer whose request or connection failed comes again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A request, or a connection that brings nothing, is given up after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where viewers go and what they want there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where HLS and HTTP-FLV are.
    pub http: SocketAddr,
    /// Where RTMP is.
    pub rtmp: SocketAddr,
    /// Which of the three.
    pub protocol: Protocol,
    /// The stream.
    pub stream: &'static str,
    /// Target duration: how often a playlist is loaded, and over how long newcomers are spread.
    pub period: Duration,
}

/// What all viewers together got.
#[derive(Debug, Default)]
pub struct Tally {
    /// Bytes, answers' heads included.
    pub bytes: AtomicU64,
    /// Segments.
    pub segments: AtomicU64,
    /// Requests and connections that failed.
    pub failures: AtomicU64,
    first_failure: OnceLock<String>,
}

impl Tally {
    fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn failed(&self, error: &anyhow::Error) {
        self.failures.fetch_add(1, Relaxed);
        // Only the first is kept.
        let _ = self.first_failure.set(format!("{error:#}"));
    }

    /// What went wrong first.
    pub fn first_failure(&self) -> Option<&str> {
        self.first_failure.get().map(String::as_str)
    }
}

/// All viewers. They leave when it is dropped.
#[derive(Debug)]
pub struct Viewers {
    target: Arc<Target>,
    /// What they got.
    pub tally: Arc<Tally>,
    tasks: JoinSet<()>,
    count: u32,
}

impl Viewers {
    /// No viewer has connected yet.
    pub fn new(target: Target) -> Self {
        Self { target: Arc::new(target), tally: Arc::default(), tasks: JoinSet::new(), count: 0 }
    }

    /// Lets more come until there are `count`, evenly over one target duration: so are their requests from then on, as
    /// those of people are who did not all come at the same moment.
    pub fn grow_to(&mut self, count: u32) {
        let newcomers = count.saturating_sub(self.count);
        for number in 0..newcomers {
            let (target, tally) = (Arc::clone(&self.target), Arc::clone(&self.tally));
            let wait = target.period * number / newcomers;
            self.tasks.spawn(async move {
                tokio::time::sleep(wait).await;
                watch(&target, &tally).await;
            });
        }
        self.count += newcomers;
    }
}

async fn watch(target: &Target, tally: &Tally) {
    loop {
        let ended = match target.protocol {
            Protocol::Hls => player::watch(target, tally).await,
            Protocol::Flv => live::watch_flv(target, tally).await,
            Protocol::Rtmp => live::watch_rtmp(target, tally).await,
        };
        if let Err(error) = ended {
            tally.failed(&error);
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
