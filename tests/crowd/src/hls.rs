//! An HLS viewer: the shell around [`Player`] that loads, waits and counts.

use crate::args::Hash;
use crate::buffer::Buffer;
use crate::crowd::{Shared, Viewer};
use crate::http::{Keep, ReadError};
use crate::lines::{From, Lines};
use crate::player::{Player, Step, reload_ms};
use crate::playlist::{Listed, MediaPlaylist, first_variant};
use crate::policy::{FAILED_MS, REJOIN_MS, RETRY_AFTER_S_MAX, RETRY_MS};
use crate::target::{Kind, resolve};
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// Watches until the run is over, or the session is.
pub async fn watch(viewer: Viewer) {
    let Viewer { number, stream, shared } = viewer;
    shared.tally(Kind::Hls).viewers += 1;
    let lines = Lines::new(stream.hosts.clone(), shared.spread, number, shared.connections.clone());
    let joined = shared.now_ms();
    let mut watcher = Watcher {
        number,
        page: stream.path,
        lines,
        shared: shared.clone(),
        joined,
        had_picture: false,
        in_session: false,
        ended_at: None,
        buffer: Buffer::new(0),
    };
    tokio::select! {
        () = shared.over() => {}
        () = watcher.run() => {}
    }
    let (stalls, stalled_ms) = watcher.buffer.stalls(shared.now_ms());
    let mut tally = shared.tally(Kind::Hls);
    tally.stalls += stalls;
    tally.stalled_ms += stalled_ms as u64;
    tally.stalled_viewers += u64::from(stalls > 0);
}

struct Watcher {
    number: usize,
    page: Rc<str>,
    lines: Lines,
    shared: Rc<Shared>,
    joined: f64,
    had_picture: bool,
    in_session: bool,
    /// The last number of the session that this viewer saw the end of.
    ended_at: Option<u64>,
    buffer: Buffer,
}

/// How following a session came to its end.
enum Left {
    /// EXT-X-ENDLIST, and everything before it is there.
    Ended,
    /// It is still the session whose end was seen.
    Stale,
    /// The playlist is gone.
    Lost,
}

impl Watcher {
    async fn run(&mut self) {
        loop {
            let media = self.join().await;
            match self.follow(&media).await {
                Left::Lost => continue,
                Left::Stale => {}
                Left::Ended => {
                    self.buffer.end(self.shared.now_ms());
                    self.shared.tally(Kind::Hls).ended += 1;
                    if !self.shared.rejoin {
                        return;
                    }
                    self.buffer.restart();
                    self.in_session = false;
                }
            }
            sleep(Duration::from_millis(REJOIN_MS)).await;
        }
    }

    /// Opens the page until it names a variant.
    async fn join(&mut self) -> Rc<str> {
        loop {
            let page = self.page.clone();
            let pause = match self.load(&page, Keep::Text, &[404, 503]).await {
                None => Duration::from_millis(FAILED_MS),
                Some(from) if from.answer.head.status == 200 => {
                    let text = String::from_utf8_lossy(&from.answer.text);
                    if let Some(variant) = first_variant(&text) {
                        return resolve(&page, variant).into();
                    }
                    if text.starts_with("#EXTM3U") {
                        return page;
                    }
                    self.error(&page, &from.edge, &"is no playlist");
                    Duration::from_millis(FAILED_MS)
                }
                Some(from) => {
                    let mut tally = self.shared.tally(Kind::Hls);
                    if from.answer.head.status == 503 {
                        tally.refusals += 1;
                    } else {
                        tally.not_live += 1;
                    }
                    Duration::from_secs(from.answer.head.retry_after_s.unwrap_or(1).clamp(1, RETRY_AFTER_S_MAX))
                }
            };
            sleep(pause).await;
        }
    }

    async fn follow(&mut self, path: &Rc<str>) -> Left {
        let mut player = Player::default();
        loop {
            let began = self.shared.now_ms();
            let pause_ms = match self.playlist(path).await {
                Err(Vanished) => return Left::Lost,
                Ok(None) => FAILED_MS as f64,
                Ok(Some((_, list))) if list.ended && list.segments.last().map(|s| s.msn) == self.ended_at => {
                    return Left::Stale;
                }
                Ok(Some((connection, list))) => {
                    let step = player.playlist(connection, &list);
                    self.note(&step, path, &list);
                    let all = self.fetch(path, &mut player, list.segments.get(step.fetch).unwrap_or_default()).await;
                    if list.ended && all {
                        self.ended_at = list.segments.last().map(|s| s.msn);
                        return Left::Ended;
                    }
                    reload_ms(&list, step.changed)
                }
            };
            let left_ms = began + pause_ms - self.shared.now_ms();
            sleep(Duration::from_secs_f64(left_ms.max(0.0) / 1_000.0)).await;
        }
    }

    /// Loads the media playlist; `None` after a failed read.
    async fn playlist(&mut self, path: &Rc<str>) -> Result<Option<(u64, Rc<MediaPlaylist>)>, Vanished> {
        let Some(from) = self.load(path, Keep::Text, &[404]).await else { return Ok(None) };
        let From { edge, connection, answer } = from;
        if answer.head.status == 404 {
            self.error(path, &edge, &"the playlist is gone");
            return Err(Vanished);
        }
        let read = self.shared.truth().read(path, &answer.text, answer.hash);
        match read {
            Ok(list) => {
                let problems = self.shared.truth().playlist(&edge, path, &list, answer.hash);
                for problem in problems {
                    self.mismatch(&problem);
                }
                Ok(Some((connection, list)))
            }
            Err(invalid) => {
                self.error(path, &edge, &invalid);
                Ok(None)
            }
        }
    }

    fn note(&self, step: &Step, path: &str, list: &MediaPlaylist) {
        let mut tally = self.shared.tally(Kind::Hls);
        tally.skipped += step.skipped;
        tally.behind += u64::from(step.behind);
        let first = list.segments.first().map_or(0, |s| s.msn);
        if step.skipped > 0 {
            tally.problem(
                self.shared.now_ms(),
                self.number,
                format_args!("{path}: {} lost before {first}", step.skipped),
            );
        }
        if step.back {
            tally.back += 1;
            let last = list.segments.last().map_or(0, |s| s.msn);
            tally.problem(self.shared.now_ms(), self.number, format_args!("{path}: went back to {first}..{last}"));
        }
    }

    /// Fetches segments in order. False when one could not be had: the next playlist decides how to go on.
    async fn fetch(&mut self, playlist: &str, player: &mut Player, segments: &[Listed]) -> bool {
        for segment in segments {
            self.shared.tally(Kind::Hls).discontinuities += u64::from(segment.discontinuity && self.had_picture);
            if segment.gap {
                self.shared.tally(Kind::Hls).gaps += 1;
            } else if !self.segment(&resolve(playlist, &segment.uri), segment).await {
                return false;
            }
            player.done(segment.msn);
        }
        true
    }

    async fn segment(&mut self, path: &str, segment: &Listed) -> bool {
        let keep = match self.shared.hash {
            Hash::Always => Keep::Hash,
            Hash::Never => Keep::Nothing,
            Hash::Once if self.lines.hosts().iter().any(|h| self.shared.truth().wants(&h.authority, path)) => {
                Keep::Hash
            }
            Hash::Once => Keep::Nothing,
        };
        let began = self.shared.now_ms();
        let Some(From { edge, answer, .. }) = self.load(path, keep, &[]).await else { return false };
        let now = self.shared.now_ms();
        self.buffer.add(now, segment.duration_ms);
        if keep == Keep::Hash {
            let problem = self.shared.truth().body(&edge, path, answer.hash);
            if let Some(problem) = problem {
                self.mismatch(&problem);
            }
        }
        let mut tally = self.shared.tally(Kind::Hls);
        tally.media += 1;
        tally.segment_ms.add(now - began);
        if let (Some(time), Ok(unix)) = (segment.time_ms, SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)) {
            tally.delay_ms.add(unix.as_secs_f64() * 1_000.0 - time as f64 - segment.duration_ms);
        }
        tally.sessions += u64::from(!std::mem::replace(&mut self.in_session, true));
        if !std::mem::replace(&mut self.had_picture, true) {
            tally.pictures += 1;
            tally.first_picture_ms.add(now - self.joined);
        }
        true
    }

    /// One read as the policy has it: a second try on a new connection. An answer whose status is 200 or one of
    /// `wanted`; `None` when both tries failed.
    async fn load(&mut self, path: &str, keep: Keep, wanted: &[u16]) -> Option<From> {
        for retry in [false, true] {
            if retry {
                self.shared.tally(Kind::Hls).retried += 1;
                sleep(Duration::from_millis(RETRY_MS)).await;
            }
            self.shared.tally(Kind::Hls).requests += 1;
            let (edge, error) = match self.lines.get(path, keep).await {
                Ok(from) => {
                    self.shared.tally(Kind::Hls).bytes += from.answer.bytes;
                    let status = from.answer.head.status;
                    if status == 200 || wanted.contains(&status) {
                        return Some(from);
                    }
                    self.lines.drop_current();
                    (from.edge, ReadError::Status(status))
                }
                Err(failed) => failed,
            };
            if retry {
                self.error(path, &edge, &error);
            }
        }
        None
    }

    fn error(&self, path: &str, edge: &str, error: &dyn std::fmt::Display) {
        let mut tally = self.shared.tally(Kind::Hls);
        tally.errors += 1;
        tally.problem(self.shared.now_ms(), self.number, format_args!("{path} at {edge}: {error}"));
    }

    fn mismatch(&self, problem: &str) {
        let mut tally = self.shared.tally(Kind::Hls);
        tally.mismatches += 1;
        tally.problem(self.shared.now_ms(), self.number, problem);
    }
}

/// The playlist is 404.
struct Vanished;
