//! `lectern local`: the plan of an event as child processes of this machine.
//!
//! One loop: what the nodes say comes in, a plan is made, the fleet is brought there, and what is so is shown to the
//! entry, the API and the screen. The loop decides nothing that `plan` can decide.

mod address;
mod api;
mod entry;
mod files;
mod fleet;
mod keys;
mod report;
mod screen;

use crate::args::{LocalOptions, Output};
use crate::plan::{self, Observed, Plan};
use crate::scaling::Rules;
use crate::start::{self, Threads};
use crate::validate::Event;
use address::reachable;
use anyhow::{Context, Result};
use files::Workdir;
use fleet::Fleet;
use fleet::news::News;
use jiff::Timestamp;
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use lectern_process::descriptors;
use lectern_process::signals::{Cause, Signals};
use report::Notice;
use screen::Screen;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often the loop looks even if nothing happens: bounds how late a restart is and how old the screen.
const TICK: Duration = Duration::from_millis(250);
/// When all ends nodes get their drain time and this much more before they are killed.
const DRAIN_GRACE: Duration = Duration::from_secs(5);
/// News of children that may wait; more only wait in their senders.
const NEWS_QUEUE: usize = 256;

/// Runs the event until a signal ends it; a second signal ends this process.
///
/// # Errors
/// When the event cannot be read or cannot work, an address is taken, or the node binary is not there.
pub fn main(options: &LocalOptions) -> Result<()> {
    let (raw, event) = crate::input::event(&options.file)?;
    // A viewer at the entry takes two.
    descriptors::raise_limit();
    let runtime = start::runtime(Threads::Many)?;
    // Children are tied to the thread that starts them (lectern_process::child): this future runs on the main thread.
    match runtime.block_on(run(options, raw, event))? {
        Some(impatient) => impatient.exit(),
        None => Ok(()),
    }
}

/// Gives the second signal, if the end was not waited for.
async fn run(options: &LocalOptions, raw: LiveEvent, event: Event) -> Result<Option<Cause>> {
    let mut signals = Signals::listen()?;
    let mut runner = Runner::start(options, raw, event).await?;
    runner.announce(options);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            Some(news) = runner.news.recv() => runner.hear(news),
            _ = signals.next() => break,
        }
        runner.step()?;
    }
    Ok(runner.drain(&mut signals).await)
}

/// Everything that runs for the event.
struct Runner {
    raw: LiveEvent,
    event: Event,
    /// When the event was started: its creation time.
    since: Timestamp,
    keys: Vec<(String, String)>,
    fleet: Fleet,
    news: mpsc::Receiver<News>,
    ready: watch::Sender<Arc<[SocketAddr]>>,
    object: watch::Sender<Arc<serde_json::Value>>,
    status: LiveEventStatus,
    screen: Screen,
    http: SocketAddr,
    api: SocketAddr,
}

impl Runner {
    async fn start(options: &LocalOptions, raw: LiveEvent, event: Event) -> Result<Self> {
        let binary = files::node_binary(options.node.as_deref())?;
        let first = plan::plan(&event, &Observed::default(), Timestamp::now());
        let material = keys::material(options, &first)?;
        let workdir = Workdir::new(&event, &material, options.logs.as_deref())?;
        let (entry, http) = listen(options.http, "--http").await?;
        let (api_listener, api) = listen(options.api, "--api").await?;
        // Only to say so at once if it is taken; the ingest itself listens there.
        let rtmp = listen(options.rtmp, "--rtmp").await?.1;
        let (sender, news) = mpsc::channel(NEWS_QUEUE);
        let (ready, ready_now) = watch::channel(Arc::<[SocketAddr]>::from([]));
        let (object, object_now) = watch::channel(Arc::new(serde_json::Value::Null));
        tokio::spawn(entry::serve(entry, ready_now));
        tokio::spawn(api::serve(api_listener, object_now));
        let fleet = Fleet::new(binary, workdir, (rtmp, http), sender, Rules::down_after(options.scale_down_after_s));
        Ok(Self {
            raw,
            event,
            since: Timestamp::now(),
            keys: material.publish,
            fleet,
            news,
            ready,
            object,
            status: LiveEventStatus::default(),
            screen: Screen::new(options.output == Output::Json),
            http,
            api,
        })
    }

    /// Says where everything is.
    fn announce(&mut self, options: &LocalOptions) {
        let address = self.fleet.ingest_address();
        for notice in report::opening(&self.event, &self.keys, address, reachable(self.http), reachable(self.api)) {
            self.screen.say(&notice);
        }
        let missing = self.event.forward.iter().filter(|forward| {
            !options.forward.iter().any(|given| given.split_once('=').is_some_and(|(name, _)| name == forward.name))
        });
        for forward in missing {
            let text = format!("nothing is forwarded to {0}: give its URL with --forward {0}=rtmp://…", forward.name);
            self.screen.say(&Notice::Warning { text });
        }
    }

    fn hear(&mut self, news: News) {
        for notice in self.fleet.hear(news, Instant::now()) {
            self.screen.say(&notice);
        }
    }

    /// Observe, plan, apply, report.
    fn step(&mut self) -> Result<()> {
        let now = Timestamp::now();
        self.fleet.count(Instant::now());
        let seen = self.fleet.observe(now);
        let plan = plan::plan(&self.event, &seen, now);
        for notice in self.fleet.apply(&plan, Instant::now())? {
            self.screen.say(&notice);
        }
        let ready = self.fleet.ready();
        self.ready.send_if_modified(|old| {
            let changed = **old != *ready;
            *old = ready.clone();
            changed
        });
        self.report(&plan, now);
        Ok(())
    }

    fn report(&mut self, plan: &Plan, now: Timestamp) {
        let seen = self.fleet.observe(now);
        let status = plan::status::of(&self.event, plan, &seen, Some(&self.status), now);
        for notice in report::changes(&self.status, &status) {
            self.screen.say(&notice);
        }
        if status != self.status || self.object.borrow().is_null() {
            self.status = status;
            self.object.send_replace(Arc::new(report::object(&self.raw, &self.status, self.since)));
        }
        self.screen.draw(&report::table(&self.status, &seen));
    }

    /// Tells all to end, then waits and shows for whom; a second signal, which it gives, or the end of the drain time
    /// kills.
    async fn drain(&mut self, signals: &mut Signals) -> Option<Cause> {
        let longest = Duration::from_millis(self.event.edges.drain_ms) + DRAIN_GRACE;
        self.screen.draw(&[]);
        self.screen.say(&Notice::Draining { viewers: self.fleet.viewers(), at_most_s: longest.as_secs() });
        self.fleet.end_all();
        let deadline = Instant::now() + longest;
        let mut impatient = None;
        let mut tick = tokio::time::interval(TICK);
        while self.fleet.running() > 0 && impatient.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            let left_s = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            let waiting = report::waiting(self.fleet.viewers(), self.fleet.running(), left_s);
            self.screen.draw(&[format!("  {waiting}")]);
            tokio::select! {
                Some(news) = self.news.recv() => self.hear(news),
                cause = signals.next() => impatient = Some(cause),
                _ = tick.tick() => {}
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.screen.draw(&[]);
        self.fleet.kill_all();
        // Killed children are gone at once; only their notices are still under way.
        let deadline = Instant::now() + DRAIN_GRACE;
        while self.fleet.running() > 0 {
            tokio::select! {
                Some(news) = self.news.recv() => self.hear(news),
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.screen.say(&Notice::Ended);
        impatient
    }
}

async fn listen(address: SocketAddr, option: &str) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("failed to listen on {address}; choose another with {option}"))?;
    let address = listener.local_addr().context("failed to read the listening address")?;
    Ok((listener, address))
}
