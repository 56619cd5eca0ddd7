//! Reads configuration and keys again when their files change.
//!
//! The files are small and are read whole each second: a mounted ConfigMap or Secret changes by a symlink that no
//! modification time of the file itself tells of.

use super::state::Ingest;
use crate::config::Source;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until `shutdown`. A file that cannot work changes nothing and is reported once.
pub(super) async fn run(ingest: Arc<Ingest>, source: Source, shutdown: CancellationToken) {
    let mut last_problem = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
        let (ingest, source) = (ingest.clone(), source.clone());
        // Files may lie on a network: they are read where waiting holds nothing up.
        let look = tokio::task::spawn_blocking(move || look(&ingest, &source));
        let Ok(problem) = look.await else { continue };
        if problem.is_some() && problem != last_problem {
            tracing::error!("{}; the configuration before stays in force", problem.as_deref().unwrap_or_default());
        }
        last_problem = problem;
    }
}

fn look(ingest: &Arc<Ingest>, source: &Source) -> Option<String> {
    ingest.load_keys();
    let mut next = match source.load() {
        Ok(next) => next,
        Err(error) => return Some(error.to_string()),
    };
    let now = ingest.config();
    // What sockets and identities were made from does not change while the process lives.
    let fixed = (&now.listen, &now.event, &now.seed_file, &now.discovery);
    let problem = (fixed != (&next.listen, &next.event, &next.seed_file, &next.discovery)).then(|| {
        "listening addresses, event, seed or discovery changed: that takes effect when the ingest starts again"
            .to_owned()
    });
    next.listen = now.listen;
    next.event.clone_from(&now.event);
    next.seed_file.clone_from(&now.seed_file);
    next.discovery = now.discovery.clone();
    if next != *now {
        tracing::info!(version = next.version, streams = next.streams.len(), "configuration loaded");
        ingest.apply(&Arc::new(next));
    }
    problem
}
