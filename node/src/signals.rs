//! Being told to end. SIGTERM comes from a supervisor that has sent viewers here and needs a moment to send them
//! elsewhere; SIGINT comes from a person at a terminal, who waits for it.

use std::sync::{Arc, OnceLock};
use tokio::signal::unix::{SignalKind, signal};
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

    fn exit_code(self) -> i32 {
        match self {
            Self::Terminate => EXIT_SIGNALLED + libc::SIGTERM,
            Self::Interrupt => EXIT_SIGNALLED + libc::SIGINT,
        }
    }
}

/// The first signal is an order to end; the second ends the process at once.
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
    pub fn listen() -> std::io::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = Self { told: CancellationToken::new(), cause: Arc::default() };
        let listening = stop.clone();
        tokio::spawn(async move {
            loop {
                let cause = tokio::select! {
                    _ = terminate.recv() => Cause::Terminate,
                    _ = interrupt.recv() => Cause::Interrupt,
                };
                if listening.cause.set(cause).is_err() {
                    tracing::warn!("{} again: ending at once", cause.name());
                    std::process::exit(cause.exit_code());
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
