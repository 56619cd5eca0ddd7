//! What a machine's service manager does for its programs: one that ended by itself is started again.

use super::own::Own;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is looked whether all still run, and so the shortest life of a program that cannot start.
const LOOK: Duration = Duration::from_secs(1);

/// Looks after a cluster's programs until it is dropped.
#[derive(Debug)]
pub(super) struct Supervisor {
    // Closing it ends the thread.
    until: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    pub(super) fn of(own: &Arc<Mutex<Own>>) -> Self {
        let (until, closed) = channel::<()>();
        let own = own.clone();
        let thread = std::thread::spawn(move || {
            while closed.recv_timeout(LOOK).is_err_and(|why| why == std::sync::mpsc::RecvTimeoutError::Timeout) {
                if let Err(error) = own.lock().unwrap_or_else(PoisonError::into_inner).revive() {
                    eprintln!("testcluster: {error:#}");
                }
            }
        });
        Self { until: Some(until), thread: Some(thread) }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.until.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
