//! The encoders of one stream: the main one and the backup. [`Roles`] decides which is on air; this feeds it, and the
//! stream with what it lets through.

use super::keys::{KeyDigest, RightKey};
use super::publish::publisher::{self, Dismissal, Newcomer, Publisher};
use super::publish::takeover::{Decision, Takeovers};
use super::stream::{Conflict, Message};
use lectern_api::node_status::{IngestStream, Standby};
use lectern_media::live;
use lectern_media::live::ingest::Written;
use lectern_media::live::standby::{NotReady, Role, Roles, Verdict};
use lectern_media::track::{self, Track};

/// A refused publisher is reported for this long.
const REFUSAL_SHOWN_MS: u64 = 60_000;

/// A standby that is not ready this long after it was accepted is reported: key frames are at most some 10 s apart.
const STANDBY_PATIENCE_MS: u64 = 10_000;

/// The encoder of one role, and the memory of those before it.
#[derive(Default)]
struct Seat {
    publisher: Option<Publisher>,
    takeovers: Takeovers,
}

/// Main and backup encoder of one stream, and the switch between them.
pub(super) struct Desk {
    /// The stream's.
    name: String,
    roles: Roles,
    main: Seat,
    backup: Seat,
    /// Since when no encoder is there.
    idle_since_ms: Option<u64>,
    /// When and why a publisher was last refused.
    refusal: Option<(u64, String)>,
    /// Bytes of audio and video that publishers sent.
    received_bytes: u64,
    /// How often the other encoder went on air.
    switches: u64,
    /// What was muxed up to now is charged to an encoder already.
    charged: Written,
}

impl Desk {
    pub(super) fn new(name: &str, now_ms: u64) -> Self {
        Self {
            name: name.to_owned(),
            roles: Roles::default(),
            main: Seat::default(),
            backup: Seat::default(),
            idle_since_ms: Some(now_ms),
            refusal: None,
            received_bytes: 0,
            switches: 0,
            charged: Written::default(),
        }
    }

    /// An encoder with a right key wants to publish.
    pub(super) fn publish(
        &mut self,
        live: &mut live::Ingest,
        now_ms: u64,
        newcomer: Newcomer<'_>,
        segment_ms: u64,
    ) -> Result<publisher::Ticket, Conflict> {
        let Newcomer { key: RightKey { role, digest }, address, .. } = newcomer;
        let seat = self.seat_mut(role);
        match seat.takeovers.decide(now_ms, &digest, seat.publisher.as_ref().map(Publisher::last_ms)) {
            Decision::Accept => {}
            Decision::TakeOver => {
                let reason = format!("another publisher from {address} took over");
                self.close(live, now_ms, role, Dismissal::Replaced(reason));
            }
            Decision::Conflict => {
                self.refusal = Some((now_ms, format!("PublisherConflict ({address} was refused)")));
                return Err(Conflict);
            }
        }
        let (publisher, ticket) = Publisher::new(newcomer, now_ms, segment_ms);
        self.seat_mut(role).publisher = Some(publisher);
        self.idle_since_ms = None;
        if self.roles.publish(now_ms, role) {
            live.publish(now_ms);
            self.charged = live.written();
        }
        Ok(ticket)
    }

    /// A message of the publisher with this name. `Err` if it was closed, now or before.
    pub(super) fn message(
        &mut self,
        live: &mut live::Ingest,
        now_ms: u64,
        id: publisher::Id,
        message: Message,
    ) -> Result<(), Gone> {
        let role = self.role_of(id).ok_or(Gone)?;
        let Some(publisher) = self.seat_mut(role).publisher.as_mut() else { return Err(Gone) };
        match message {
            Message::Media { track, stamp, body } => {
                let message = track::Message::read(track, body);
                let looked_at = publisher.message(now_ms, stamp, &message);
                self.received_bytes += message.body.len() as u64;
                if let Err(dismissal) = looked_at {
                    self.close(live, now_ms, role, dismissal);
                    return Err(Gone);
                }
                self.media(live, now_ms, role, stamp, message);
            }
            Message::Metadata(payload) => {
                publisher.metadata(&payload);
                if self.roles.metadata(role, &payload) {
                    live.metadata(now_ms, payload);
                }
            }
        }
        Ok(())
    }

    fn media(&mut self, live: &mut live::Ingest, now_ms: u64, role: Role, stamp: u32, message: track::Message) {
        match self.roles.message(now_ms, role, stamp, &message) {
            Verdict::Aside => return,
            Verdict::OnAir => {}
            Verdict::GoesOn(tracks) => {
                tracing::warn!(stream = self.name, role = name(role), "the other encoder goes on air");
                self.switches += 1;
                live.publish(now_ms);
                self.charged = live.written();
                if let Some(metadata) = tracks.metadata {
                    live.metadata(now_ms, metadata);
                }
                for (track, header) in [(Track::Video, tracks.video), (Track::Audio, tracks.audio)] {
                    if let Some(header) = header {
                        live.message(now_ms, stamp, track::Message::read(track, header));
                    }
                }
            }
        }
        live.message(now_ms, stamp, message);
    }

    /// Charges the publisher with this name for `received` bytes and for what was muxed of them. Closes it if it sends
    /// more than `max_bps`; otherwise by how many milliseconds it is ahead of the clock.
    pub(super) fn pace(
        &mut self,
        live: &mut live::Ingest,
        now_ms: u64,
        id: publisher::Id,
        received: u64,
        max_bps: u64,
    ) -> u64 {
        let Some(role) = self.role_of(id) else { return 0 };
        let on_air = self.roles.on_air() == Some(role);
        let mut more = Written::default();
        if on_air {
            let written = live.written();
            more = written.since(std::mem::replace(&mut self.charged, written));
        }
        if let Some(publisher) = self.seat_mut(role).publisher.as_mut() {
            publisher.received(now_ms, received);
            publisher.written(now_ms, more);
        }
        if let Some(dismissal) = self.seat(role).publisher.as_ref().and_then(|p| p.above(now_ms, max_bps)) {
            self.close(live, now_ms, role, dismissal);
            return 0;
        }
        if on_air { live.ahead_ms(now_ms) } else { self.roles.ahead_ms(role) }
    }

    /// The publisher with this name is gone.
    pub(super) fn unpublish(&mut self, live: &mut live::Ingest, now_ms: u64, id: publisher::Id) {
        if let Some(role) = self.role_of(id) {
            drop(self.leave(live, now_ms, role));
        }
    }

    /// The encoder that is on air has to go.
    pub(super) fn close_on_air(&mut self, live: &mut live::Ingest, now_ms: u64, dismissal: Dismissal) {
        if let Some(role) = self.roles.on_air() {
            self.close(live, now_ms, role, dismissal);
        }
    }

    /// Both encoders have to go.
    pub(super) fn close_all(&mut self, live: &mut live::Ingest, now_ms: u64, dismissal: &Dismissal) {
        for role in [Role::Backup, Role::Main] {
            self.close(live, now_ms, role, dismissal.clone());
        }
    }

    /// Keys of the encoders that are there.
    pub(super) fn keys_shown(&self) -> Vec<KeyDigest> {
        [&self.main, &self.backup].into_iter().filter_map(|seat| Some(*seat.publisher.as_ref()?.key())).collect()
    }

    /// The encoders that showed this key have to go.
    pub(super) fn close_key(&mut self, live: &mut live::Ingest, now_ms: u64, key: &KeyDigest, dismissal: &Dismissal) {
        for role in [Role::Backup, Role::Main] {
            if self.seat(role).publisher.as_ref().is_some_and(|publisher| publisher.key() == key) {
                self.close(live, now_ms, role, dismissal.clone());
            }
        }
    }

    fn close(&mut self, live: &mut live::Ingest, now_ms: u64, role: Role, dismissal: Dismissal) {
        let Some(publisher) = self.leave(live, now_ms, role) else { return };
        if let Dismissal::Refused(name, words) = &dismissal {
            self.refusal = Some((now_ms, format!("{name} ({words})")));
        }
        publisher.dismiss(dismissal);
    }

    fn leave(&mut self, live: &mut live::Ingest, now_ms: u64, role: Role) -> Option<Publisher> {
        let publisher = self.seat_mut(role).publisher.take()?;
        if self.roles.gone(role) {
            live.unpublish(now_ms);
        }
        if self.main.publisher.is_none() && self.backup.publisher.is_none() {
            self.idle_since_ms = Some(now_ms);
        }
        Some(publisher)
    }

    /// Bytes of audio and video that publishers sent.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// How often the other encoder went on air.
    pub(super) fn switches(&self) -> u64 {
        self.switches
    }

    /// What `/status` says of the encoders.
    pub(super) fn status(&self, live: &live::Ingest, now_ms: u64, status: &mut IngestStream) {
        status.idle_since_ms = self.idle_since_ms;
        let waiting = || [Role::Main, Role::Backup].into_iter().find(|role| self.seat(*role).publisher.is_some());
        let shown = self.roles.on_air().or_else(waiting);
        if let Some((role, publisher)) = shown.and_then(|role| Some((role, self.seat(role).publisher.as_ref()?))) {
            publisher.status(now_ms, live.tracks(), status);
            status.warnings.extend(live.warnings(now_ms).iter().map(ToString::to_string));
            status.on_backup = role == Role::Backup;
        }
        status.standby = self.standby(now_ms);
        if status.on_backup {
            status.warnings.push("OnBackup (the main encoder is gone, silent or not yet steady)".to_owned());
        } else if let Some(why) = self.standby_late(now_ms) {
            status.warnings.push(format!("StandbyNotReady ({why})"));
        }
        if let Some((at_ms, words)) = &self.refusal
            && now_ms.saturating_sub(*at_ms) < REFUSAL_SHOWN_MS
        {
            status.warnings.push(words.clone());
        }
    }

    /// Why the standby is not ready, once it has had the time to be.
    fn standby_late(&self, now_ms: u64) -> Option<NotReady> {
        let (role, why) = self.roles.standby(now_ms)?;
        let publisher = self.seat(role).publisher.as_ref()?;
        why.filter(|_| now_ms.saturating_sub(publisher.since_ms()) >= STANDBY_PATIENCE_MS)
    }

    fn standby(&self, now_ms: u64) -> Option<Standby> {
        let (role, why) = self.roles.standby(now_ms)?;
        let mut own = IngestStream::default();
        self.seat(role).publisher.as_ref()?.status(now_ms, None, &mut own);
        Some(Standby {
            role: name(role).to_owned(),
            address: own.publisher.unwrap_or_default(),
            video_codec: own.video_codec,
            audio_codec: own.audio_codec,
            bit_rate: own.bit_rate,
            ready: why.is_none(),
            reason: why.map(|why| why.to_string()),
        })
    }

    fn role_of(&self, id: publisher::Id) -> Option<Role> {
        let is_it = |role: &Role| self.seat(*role).publisher.as_ref().is_some_and(|p| p.id() == id);
        [Role::Main, Role::Backup].into_iter().find(is_it)
    }

    fn seat(&self, role: Role) -> &Seat {
        match role {
            Role::Main => &self.main,
            Role::Backup => &self.backup,
        }
    }

    fn seat_mut(&mut self, role: Role) -> &mut Seat {
        match role {
            Role::Main => &mut self.main,
            Role::Backup => &mut self.backup,
        }
    }
}

/// There is no such publisher, or not any more.
#[derive(Debug)]
pub(super) struct Gone;

fn name(role: Role) -> &'static str {
    match role {
        Role::Main => "main",
        Role::Backup => "backup",
    }
}
