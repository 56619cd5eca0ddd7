//! From a publisher's messages to frames of an epoch: what waits, what opens an epoch, what goes into it.

use super::session::{Input, LEAD_MS_MAX};
use super::{HELD_BYTES_MAX, Ingest, Memory, Output, Source};
use crate::ledger::EpochId;
use crate::live::epoch::OpenEpoch;
use crate::live::opening::{Kept, Start};
use crate::live::ring::Content;
use crate::live::timeline::Reading;
use crate::relay::RelayMessage;
use crate::segment::Profile;
use crate::track::{Class, Message, Track};

/// At most one epoch is opened in this time.
const EPOCH_MS_MIN: u64 = 1_000;
/// Sound ends a segment in the place of pictures once none has come for this long.
const VIDEO_SILENT_MS: u64 = 2_000;
/// No epoch begins further ahead of the clock than this because of an end that an edge remembers: a ledger holds what
/// publishers made of it, or a node whose clock was wrong.
const FLOOR_AHEAD_MS_MAX: u64 = 60_000 - INGESTS;

/// The name of an epoch, modulo this, is that of its ingest, so that two ingests do not choose the same one.
const INGESTS: u64 = 64;

impl Ingest {
    /// A message, in its turn.
    pub(super) fn receive(&mut self, now_ms: u64, message: Input) {
        if let Memory::Learning { held, held_bytes, .. } = &mut self.memory {
            *held_bytes += message.cost();
            held.push((now_ms, message));
            if *held_bytes > HELD_BYTES_MAX {
                self.finish_learning(now_ms);
            }
            return;
        }
        self.go_on(now_ms);
        let early = if self.session.early.is_empty() { self.take(now_ms, message).err() } else { Some(message) };
        if let Some(message) = early
            && !self.session.wait(message)
        {
            self.close_publisher(now_ms, "it sends media far faster than real time".to_owned());
        }
    }

    /// What is due: early messages, the end of a segment that nothing more comes for, the opening of an epoch.
    pub(super) fn go_on(&mut self, now_ms: u64) {
        while let Some(message) = self.session.go_on() {
            if let Err(message) = self.take(now_ms, message) {
                self.session.put_back(message);
                break;
            }
        }
        self.choose_lists(now_ms);
        self.pass_metadata_on(now_ms);
        if let Source::Live(epoch) = &mut self.source
            && epoch.silence_due_ms(&self.ledger).is_some_and(|due| now_ms >= due)
        {
            let closed = epoch.close_silent(now_ms, &mut self.ledger);
            self.closed(now_ms, closed);
        }
        self.open(now_ms);
    }

    /// When [`Ingest::go_on`] is wanted.
    pub(super) fn next_step(&self) -> Option<u64> {
        let early = (!self.session.early.is_empty()).then_some(self.session.early_due_ms);
        let source = match &self.source {
            Source::Absent { .. } => None,
            Source::Opening(opening) => opening.wake_ms().map(|due| due.max(self.rested_ms())),
            Source::Live(epoch) => epoch.silence_due_ms(&self.ledger),
        };
        early.into_iter().chain(source).min()
    }

    /// When the next epoch may open.
    fn rested_ms(&self) -> u64 {
        self.opened_ms.map_or(0, |at| at + EPOCH_MS_MIN)
    }

    /// Takes a message, or gives it back: it is too far ahead of the clock.
    fn take(&mut self, now_ms: u64, input: Input) -> Result<(), Input> {
        match input {
            Input::Metadata(payload) => match &mut self.source {
                Source::Opening(opening) => opening.metadata(payload),
                Source::Live(epoch) => {
                    self.session.next_tracks(epoch.tracks()).metadata = Some(payload.clone());
                    self.session.metadata = Some(payload);
                    self.pass_metadata_on(now_ms);
                }
                Source::Absent { .. } => {}
            },
            Input::Media(stamp, message) => match message.class {
                Class::End | Class::Other | Class::NotCarried(_) => {}
                Class::Config => self.configuration(now_ms, message),
                Class::Media(_) => {
                    let reading = self.session.clock.read(now_ms, message.track, stamp);
                    if let Some(due_ms) = self.too_early(now_ms, &reading) {
                        self.session.early_due_ms = due_ms;
                        return Err(Input::Media(stamp, message));
                    }
                    self.media(now_ms, &reading, message);
                }
            },
        }
        Ok(())
    }

    /// When a message may go on that is too far ahead of the clock.
    fn too_early(&self, now_ms: u64, reading: &Reading) -> Option<u64> {
        let own_ms = u64::try_from(reading.at - now_ms.cast_signed()).unwrap_or(0).saturating_sub(LEAD_MS_MAX);
        let epoch_ms = match &self.source {
            Source::Live(epoch) => {
                let (lead_ms, at_first_ms) = epoch.lead_ms(now_ms, reading.at);
                lead_ms.saturating_sub(LEAD_MS_MAX.max(at_first_ms))
            }
            Source::Absent { .. } | Source::Opening(_) => 0,
        };
        let excess_ms = own_ms.max(epoch_ms);
        (excess_ms > 0).then_some(now_ms + excess_ms)
    }

    fn media(&mut self, now_ms: u64, reading: &Reading, message: Message) {
        let message = self.with_lengths(message);
        self.parameter_sets(&message);
        let (track, key) = (message.track, message.key());
        self.session.clock.accept(now_ms, track, reading);
        if let Some(by_ms) = reading.jump {
            self.session.jumped(now_ms, by_ms);
        }
        if let Source::Live(epoch) = &self.source {
            let tracks = epoch.tracks();
            let next = self.session.next.as_ref().unwrap_or(tracks);
            let changed = (&next.video, &next.audio) != (&tracks.video, &tracks.audio);
            let sound_alone = tracks.video.is_none() && next.video.is_none();
            let starts = if sound_alone { track == Track::Audio } else { key };
            // The leading track starts anew: decoders do as well. Within a group of pictures its time is set anew, and
            // no more.
            let jumped = reading.jump.is_some() && track == self.session.clock.leader();
            if starts && (changed || (jumped && self.session.jumps.allow(now_ms))) {
                let next = next.clone();
                if let Some(by_ms) = reading.jump.filter(|_| jumped) {
                    self.outputs.push_back(Output::Note(format!("time jumped by {by_ms} ms")));
                }
                self.reopen_with(now_ms, next);
            } else if track == Track::Audio && next.audio != tracks.audio {
                return;
            }
        }
        match &mut self.source {
            Source::Absent { .. } => {}
            Source::Opening(opening) => {
                opening.media(Kept { arrival_ms: now_ms, at: reading.at, message });
                self.open(now_ms);
            }
            Source::Live(_) => self.append(now_ms, reading.at, message),
        }
    }

    /// Opens an epoch with what was kept for it, if it is time.
    fn open(&mut self, now_ms: u64) {
        let rested_ms = self.rested_ms();
        let Source::Opening(opening) = &mut self.source else { return };
        if now_ms < rested_ms {
            return;
        }
        let Some(Start { tracks, media }) = opening.start(now_ms) else { return };
        let Some(first) = media.front() else { return };
        let begun_ms = self.session.clock.in_time_ms(first.arrival_ms, first.at);
        let id = self.epoch_id(now_ms, begun_ms);
        let begin = (begun_ms, first.at);
        match OpenEpoch::open(id, &self.ledger, self.settings.cutting, Profile::NEWEST, tracks, begin) {
            Ok(epoch) => {
                self.opened_ms = Some(now_ms);
                (self.session.next, self.session.metadata) = (None, None);
                self.outputs.push_back(Output::Note(format!("epoch {id} opens with segment {}", epoch.msn())));
                self.ring.push(Content::Message(RelayMessage::Epoch(epoch.message())));
                self.ring.push(Content::Message(RelayMessage::Mark(epoch.mark(None))));
                self.source = Source::Live(Box::new(epoch));
                self.choose_lists(now_ms);
                for Kept { arrival_ms, at, message } in media {
                    self.append(arrival_ms, at, message);
                }
            }
            Err(error) => {
                self.close_publisher(now_ms, format!("failed to mux what the encoder announced: {error}"));
            }
        }
    }

    /// The name of an epoch that begins now: after all that is known.
    fn epoch_id(&self, now_ms: u64, begun_ms: u64) -> EpochId {
        let remembered_ms = self.ledger.remembered.map_or(0, |r| r.epoch_end_ms + 1).min(now_ms + FLOOR_AHEAD_MS_MAX);
        let ranked_ms = self.ledger.last().map_or(0, |last| last.epoch + 1);
        let floor_ms = self.epoch_floor_ms.max(remembered_ms).max(ranked_ms);
        // Two ingests that take over from one another must not choose the same name.
        let id = begun_ms.max(floor_ms);
        id + (self.settings.ingest % INGESTS + INGESTS - id % INGESTS) % INGESTS
    }

    fn append(&mut self, arrival_ms: u64, at: i64, message: Message) {
        let Source::Live(epoch) = &mut self.source else { return };
        let Some(t_ms) = epoch.place(arrival_ms, message.track, at) else { return };
        let heard_ms = self.session.clock.heard_ms(Track::Video);
        let video_silent = heard_ms.is_none_or(|heard_ms| arrival_ms.saturating_sub(heard_ms) >= VIDEO_SILENT_MS);
        let frame = message.at(t_ms);
        if let Some(t_ms) = epoch.cuts_before(&frame, video_silent, &self.ledger) {
            let closed = epoch.cut(t_ms, &mut self.ledger);
            self.closed(arrival_ms, closed);
        }
        if let Source::Live(epoch) = &mut self.source {
            if !epoch.push(&frame) {
                self.session.left_out(arrival_ms, frame.track);
            }
            self.ring.push(Content::Frame(frame));
        }
    }

    /// The publisher has to go, for this reason.
    fn close_publisher(&mut self, now_ms: u64, reason: String) {
        self.unpublish(now_ms);
        self.outputs.push_back(Output::ClosePublisher { reason });
    }
}
