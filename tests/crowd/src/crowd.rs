//! The run: streams resolved, viewers started along the ramp, progress, and the report at the end.

use crate::args::{Args, Hash, Spread};
use crate::report::Report;
use crate::tally::Tally;
use crate::target::{Kind, Stream, streams};
use crate::truth::Truth;
use crate::{flv, hls, report, rtmp};
use anyhow::{Context, Result, bail};
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);
/// Descriptors kept for everything but viewers.
const DESCRIPTORS_SPARE: u64 = 64;

/// What all viewers share; one thread, so no lock.
#[derive(Debug)]
pub struct Shared {
    /// The zero of all times of the run.
    pub started: Instant,
    /// How requests are spread.
    pub spread: Spread,
    /// Which bodies are hashed.
    pub hash: Hash,
    /// Viewers come back for the next session.
    pub rejoin: bool,
    /// Numbers the connections.
    pub connections: Rc<Cell<u64>>,
    /// The run is over: viewers settle their buffers and go.
    over: tokio::sync::watch::Sender<bool>,
    truth: RefCell<Truth>,
    tallies: [RefCell<Tally>; 3],
}

impl Shared {
    /// Milliseconds since the start.
    pub fn now_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1_000.0
    }

    /// The counters of a protocol.
    pub fn tally(&self, kind: Kind) -> RefMut<'_, Tally> {
        self.tallies[kind as usize].borrow_mut()
    }

    /// What has been seen so far.
    pub fn truth(&self) -> RefMut<'_, Truth> {
        self.truth.borrow_mut()
    }

    /// Completes at the end of the run.
    pub async fn over(&self) {
        // The sender lives as long as `self`.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    fn read_tally(&self, kind: Kind) -> Ref<'_, Tally> {
        self.tallies[kind as usize].borrow()
    }
}

/// Runs the crowd that `args` describe.
pub async fn run(args: &Args) -> Result<Report> {
    let streams = streams(&args.urls).await?;
    let mut plan = Vec::new();
    for (kind, wanted) in [(Kind::Hls, args.hls), (Kind::Flv, args.flv), (Kind::Rtmp, args.rtmp)] {
        let mine: Vec<&Stream> = streams.iter().filter(|s| s.kind == kind).collect();
        let count = wanted.unwrap_or(usize::from(!mine.is_empty()));
        if count > 0 && mine.is_empty() {
            bail!("{count} viewers of {kind:?} and no URL for them");
        }
        plan.push((kind, count, mine));
    }
    let viewers = plan.iter().map(|(_, count, _)| *count).sum::<usize>();
    allow_descriptors(viewers as u64 * if args.spread == Spread::Request { args.urls.len() as u64 } else { 1 })?;
    let shared = Rc::new(Shared {
        started: Instant::now(),
        spread: args.spread,
        hash: args.hash,
        rejoin: args.rejoin,
        connections: Rc::default(),
        over: tokio::sync::watch::Sender::new(false),
        truth: RefCell::default(),
        tallies: Default::default(),
    });

    let mut tasks = tokio::task::JoinSet::new();
    for (kind, count, mine) in plan {
        for (number, stream) in mine.iter().cycle().take(count).enumerate() {
            let join_at = shared.started + args.ramp.mul_f64(number as f64 / count as f64);
            let viewer = Viewer { number, stream: (*stream).clone(), shared: shared.clone() };
            tasks.spawn_local(async move {
                tokio::time::sleep_until(join_at).await;
                match kind {
                    Kind::Hls => hls::watch(viewer).await,
                    Kind::Flv => flv::watch(viewer).await,
                    Kind::Rtmp => rtmp::watch(viewer).await,
                }
            });
        }
    }
    wait(args, &shared, &mut tasks).await?;
    Ok(report::report(args, &shared))
}

/// One viewer, before it begins.
#[derive(Debug)]
pub struct Viewer {
    /// Its number among those of its protocol.
    pub number: usize,
    /// What it watches.
    pub stream: Stream,
    /// What it shares with all others.
    pub shared: Rc<Shared>,
}

async fn wait(args: &Args, shared: &Shared, tasks: &mut tokio::task::JoinSet<()>) -> Result<()> {
    let end = shared.started + args.duration;
    let mut progress = tokio::time::interval_at(shared.started + PROGRESS, PROGRESS);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut before = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(end) => break,
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
            _ = progress.tick(), if !args.quiet => before = report::progress(shared, before, PROGRESS),
            joined = tasks.join_next() => match joined {
                // All have seen the end of their sessions.
                None => break,
                Some(done) => done.context("a viewer panicked")?,
            },
        }
    }
    shared.over.send_replace(true);
    while let Some(done) = tasks.join_next().await {
        done.context("a viewer panicked")?;
    }
    Ok(())
}

/// Raises the limit of open descriptors to what the viewers need.
fn allow_descriptors(viewers: u64) -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let needed = viewers + DESCRIPTORS_SPARE;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("failed to read the limit of open files")?;
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed))
            .with_context(|| format!("failed to allow {needed} open files (the limit is {hard})"))?;
    }
    Ok(())
}

/// The counters of all protocols that had viewers.
pub fn tallies(shared: &Shared) -> impl Iterator<Item = (Kind, Ref<'_, Tally>)> {
    [Kind::Hls, Kind::Flv, Kind::Rtmp]
        .into_iter()
        .map(|kind| (kind, shared.read_tally(kind)))
        .filter(|(_, tally)| tally.viewers > 0)
}
