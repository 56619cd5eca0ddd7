//! Being told to end: the first signal is an order to end well, the second ends at once. SIGTERM comes from a supervisor,
//! which has sent viewers here and needs a moment to send them elsewhere; SIGINT comes from a person at a terminal, who
//! waits for it.

use anyhow::{Context, Result};
use std::sync::{Arc, OnceLock};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Shells report a process that a signal ended as this and the signal's number.
const EXIT_SIGNALLED: i32 = 128;

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }

    /// Ends this process now, as ended by the signal.
    pub fn exit(self) -> ! {
        let signal = match self {
            Self::Terminate => nix::sys::signal::Signal::SIGTERM,
            Self::Interrupt => nix::sys::signal::Signal::SIGINT,
        };
        std::process::exit(EXIT_SIGNALLED + signal as i32)
    }
}

/// The signals themselves, for a command that has to clean up even when it ends at once.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Cause {
        tokio::select! {
            _ = self.terminate.recv() => Cause::Terminate,
            _ = self.interrupt.recv() => Cause::Interrupt,
        }
    }
}

/// The order to end. A second signal ends the process at once.
#[derive(Clone, Debug)]
pub struct Stop {
    told: CancellationToken,
    cause: Arc<OnceLock<Cause>>,
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn listen() -> Result<Self> {
        let mut signals = Signals::listen()?;
        let stop = Self { told: CancellationToken::new(), cause: Arc::default() };
        let listening = stop.clone();
        tokio::spawn(async move {
            loop {
                let cause = signals.next().await;
                if listening.cause.set(cause).is_err() {
                    tracing::warn!("{} again: ending at once", cause.name());
                    cause.exit();
                }
                tracing::info!("{}: stopping", cause.name());
                listening.told.cancel();
            }
        });
        Ok(stop)
    }

    /// Cancelled by the first signal.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.told.clone()
    }

    /// Waits for the first signal.
    pub async fn told(&self) -> Cause {
        self.told.cancelled().await;
        // It is set before the token is cancelled.
        self.cause.get().copied().unwrap_or(Cause::Terminate)
    }
}
