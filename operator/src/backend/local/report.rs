//! What a local run tells: notices as things happen, a line per node for the screen, the event as an object.

use crate::plan::status::standby::{self, Change};
use crate::plan::{Observed, Scaling};
use crate::scaling::Kind;
use crate::validate::Event;
use jiff::Timestamp;
use lectern_api::condition::ConditionType;
use lectern_api::live_event::{LiveEvent, LiveEventStatus, StreamStatus};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::net::SocketAddr;

/// Something that happened. As JSON one object a line, with the name of the variant as `event`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Notice {
    /// Where everything is.
    Listening {
        name: String,
        /// The page, if the event has one.
        page: Option<String>,
        http: String,
        rtmp: String,
        api: String,
    },
    /// How to publish and watch one stream.
    Stream {
        stream: String,
        title: Option<String>,
        /// What OBS calls the server.
        server: String,
        /// What OBS calls the stream key.
        stream_key: String,
        /// The same for the backup encoder, if it has a key.
        backup_key: Option<String>,
        publish: String,
        hls: String,
        flv: Option<String>,
    },
    /// Something is not as the spec would have it.
    Warning { text: String },
    /// A process was started.
    Started { node: String, pid: u32, http: Option<SocketAddr>, rtmp: Option<SocketAddr> },
    /// A node is Ready.
    Ready { node: String },
    /// A node is not Ready any more.
    NotReady { node: String, reason: String },
    /// A process died and is started again.
    Died { node: String, how: String, restart_in_s: u64, last_words: Vec<String> },
    /// The audience needs another number of edges.
    Scaled {
        from: usize,
        to: usize,
        /// Who watches and who was refused, as the number of edges goes by it.
        demand: Option<u64>,
        /// What one edge should have of them.
        target: Option<u64>,
    },
    /// A node was told to end.
    Ending { node: String },
    /// A process ended as told.
    Gone { node: String, how: String },
    /// People can publish and watch.
    Playable,
    /// An encoder publishes.
    Live { stream: String, encoder: Option<String>, publisher: Option<String> },
    /// It went.
    Offline { stream: String },
    /// An encoder should be set differently.
    EncoderWarning { stream: String, text: String },
    /// A second encoder is ready to take over.
    StandbyReady { stream: String, role: String, address: String },
    /// It went.
    StandbyLost { stream: String, role: String },
    /// The main encoder is on air in place of the backup.
    MainOnAir { stream: String },
    /// Everything ends.
    Draining { viewers: u64, at_most_s: u64 },
    /// Everything has ended.
    Ended,
}

impl Notice {
    pub(super) fn scaled(from: usize, to: usize, scaling: &Scaling) -> Self {
        let viewers = scaling.loads.iter().flatten().find(|load| load.kind == Kind::Viewers);
        Self::Scaled { from, to, demand: viewers.map(|load| load.total), target: viewers.map(|load| load.target) }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening { name, page, http, rtmp, api } => {
                writeln!(f, "Lectern runs the event {name}.\n")?;
                page.as_ref().map_or(Ok(()), |page| writeln!(f, "  open     {page}   (in a browser)"))?;
                writeln!(f, "  publish  {rtmp}   (OBS: Settings, Stream, Custom: this is the server)")?;
                writeln!(f, "  players  {http}")?;
                write!(f, "  status   {api}")
            }
            Self::Stream { stream, title, stream_key, backup_key, hls, .. } => {
                let title = title.as_ref().map(|title| format!("  ({title})")).unwrap_or_default();
                write!(f, "\n  {stream}{title}\n    stream key  {stream_key}\n")?;
                backup_key.as_ref().map_or(Ok(()), |key| writeln!(f, "    backup key  {key}"))?;
                write!(f, "    open        {hls}")
            }
            Self::Warning { text } => write!(f, "note: {text}"),
            Self::Started { node, pid, .. } => write!(f, "{node} started, process {pid}"),
            Self::Ready { node } => write!(f, "{node} is ready"),
            Self::NotReady { node, reason } => write!(f, "{node} is not ready: {reason}"),
            Self::Died { node, how, restart_in_s, last_words } => {
                let when = if *restart_in_s == 0 { "at once".into() } else { format!("in {restart_in_s} s") };
                write!(f, "{node} died ({how}) and is started again {when}")?;
                last_words.iter().try_for_each(|line| write!(f, "\n    {line}"))
            }
            Self::Scaled { from, to, demand, target } => {
                write!(f, "{to} edges instead of {from}")?;
                match demand.zip(*target) {
                    Some((demand, target)) => write!(f, ": {demand} viewers, {target} per edge"),
                    None => Ok(()),
                }
            }
            Self::Ending { node } => write!(f, "{node} is ending: fewer edges are needed"),
            Self::Gone { node, how } => write!(f, "{node} ended ({how})"),
            Self::Playable => write!(f, "ready: publish and watch"),
            Self::Live { stream, encoder, publisher } => {
                write!(f, "{stream} is live")?;
                encoder.as_ref().map_or(Ok(()), |encoder| write!(f, ", by {encoder}"))?;
                publisher.as_ref().map_or(Ok(()), |publisher| write!(f, " from {publisher}"))
            }
            Self::Offline { stream } => write!(f, "{stream}: the encoder disconnected"),
            Self::EncoderWarning { stream, text } => write!(f, "{stream}: {text}"),
            Self::StandbyReady { stream, role, address } => {
                write!(f, "{stream}: the {role} encoder at {address} is ready to take over")
            }
            Self::StandbyLost { stream, role } => write!(f, "{stream}: the {role} encoder that stood by is gone"),
            Self::MainOnAir { stream } => write!(f, "{stream}: the main encoder is on air again"),
            Self::Draining { viewers: 0, .. } => write!(f, "ending; Ctrl-C again ends at once"),
            Self::Draining { viewers, at_most_s } => write!(f, "ending: {}", waiting(*viewers, 0, *at_most_s)),
            Self::Ended => write!(f, "ended"),
        }
    }
}

/// What is said first.
pub(super) fn opening(
    event: &Event,
    keys: &[(String, String)],
    rtmp: SocketAddr,
    http: SocketAddr,
    api: SocketAddr,
) -> Vec<Notice> {
    let id = (&event.namespace, &event.name);
    let first = Notice::Listening {
        name: event.name.to_string(),
        page: event.page.enabled.then(|| format!("http://{http}/")),
        http: format!("http://{http}/live/STREAM/index.m3u8"),
        rtmp: format!("rtmp://{rtmp}/live"),
        api: format!("http://{api}/apis/lectern.dev/v1alpha1/namespaces/{}/liveevents/{}", id.0, id.1),
    };
    let streams = event.streams.iter().map(|stream| {
        let name = stream.name.as_str();
        let key_of = |wanted: &str| keys.iter().find(|(known, _)| known == wanted).map(|(_, key)| key.as_str());
        let key = key_of(name).unwrap_or_default();
        let backup_key = key_of(&format!("{name}.{}", lectern_api::keys::BACKUP));
        Notice::Stream {
            stream: name.into(),
            title: stream.title.clone(),
            server: format!("rtmp://{rtmp}/live"),
            stream_key: format!("{name}?key={key}"),
            backup_key: backup_key.map(|key| format!("{name}?key={key}")),
            publish: format!("rtmp://{rtmp}/live/{name}?key={key}"),
            hls: format!("http://{http}/live/{name}/index.m3u8"),
            flv: event.playback.http_flv.then(|| format!("http://{http}/live/{name}.flv")),
        }
    });
    std::iter::once(first).chain(streams).collect()
}

/// What a new status says that the old one did not.
pub(super) fn changes(old: &LiveEventStatus, new: &LiveEventStatus) -> Vec<Notice> {
    let playable = |status: &LiveEventStatus| {
        let ready = |condition: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            condition.type_ == ConditionType::Ready.as_str() && condition.status == "True"
        };
        status.conditions.iter().find(ready).is_some()
    };
    let mut notices = Vec::new();
    if playable(new) && !playable(old) {
        notices.push(Notice::Playable);
    }
    for stream in &new.streams {
        let before = old.streams.iter().find(|before| before.name == stream.name);
        let was_live = before.is_some_and(|before| before.live);
        let name = || stream.name.clone();
        if stream.live && (!was_live || before.is_some_and(|before| before.since != stream.since)) {
            let (encoder, publisher) = (stream.encoder.clone(), stream.publisher.clone());
            notices.push(Notice::Live { stream: name(), encoder, publisher });
        } else if was_live && !stream.live {
            notices.push(Notice::Offline { stream: name() });
        }
        let changes = before.map_or_else(Vec::new, |before| standby::changes(before, stream));
        notices.extend(changes.into_iter().map(|change| match change {
            Change::StandsBy { role, address } => Notice::StandbyReady { stream: name(), role, address },
            Change::Lost { role } => Notice::StandbyLost { stream: name(), role },
            Change::MainOnAir => Notice::MainOnAir { stream: name() },
        }));
        let known = before.map_or(&[][..], |before| before.warnings.as_slice());
        let fresh = stream.warnings.iter().filter(|text| !known.contains(text));
        notices.extend(fresh.map(|text| Notice::EncoderWarning { stream: name(), text: text.clone() }));
    }
    notices
}

/// A line per node, and one per stream.
pub(super) fn table(status: &LiveEventStatus, seen: &Observed) -> Vec<String> {
    let state = |ready: bool, pid: Option<u32>| match (ready, pid) {
        (true, _) => "ready",
        (false, Some(_)) => "starting",
        (false, None) => "down",
    };
    let mut lines = Vec::new();
    if let Some(ingest) = &status.ingest {
        let relays =
            seen.ingest.as_ref().and_then(|ingest| ingest.status.as_ref()?.ingest.as_ref().map(|it| it.relays.len()));
        let links = relays.map(|relays| format!("  {relays} edges linked")).unwrap_or_default();
        let pid = ingest.pid.map(|pid| pid.to_string()).unwrap_or_default();
        lines.push(format!(
            "  {:<9} {:<9} {pid:>8}  {}{links}",
            "ingest",
            state(ingest.ready, ingest.pid),
            ingest.rtmp.as_deref().unwrap_or_default()
        ));
    }
    for node in status.edges.iter().flat_map(|edges| &edges.nodes) {
        let pid = node.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let viewers = node.viewers.unwrap_or(0);
        let http = node.http.as_deref().unwrap_or_default();
        lines.push(format!(
            "  {:<9} {:<9} {pid:>8}  {http:<21}  {viewers} viewers",
            node.name,
            state(node.ready, node.pid)
        ));
    }
    lines.extend(status.streams.iter().map(stream_line));
    lines
}

fn stream_line(stream: &StreamStatus) -> String {
    if !stream.live {
        return format!("  {:<9} waits for an encoder", stream.name);
    }
    let rate = stream.bit_rate.map(|bits| format!("{:.1} Mbit/s", bits as f64 / 1e6));
    let frames = stream.frame_rate.map(|rate| format!("{rate} fps"));
    let codecs =
        [stream.video_codec.clone(), stream.audio_codec.clone()].into_iter().flatten().collect::<Vec<_>>().join("+");
    let parts = [stream.resolution.clone(), frames, rate, Some(codecs)];
    format!("  {:<9} live      {}", stream.name, parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

/// What an end still waits for: viewers, or `nodes` that have none.
pub(super) fn waiting(viewers: u64, nodes: usize, at_most_s: u64) -> String {
    let (count, what) = match viewers {
        0 if nodes == 1 => (1, "process to end"),
        0 => (nodes as u64, "processes to end"),
        1 => (1, "viewer"),
        _ => (viewers, "viewers"),
    };
    format!("waiting for {count} {what}, at most {at_most_s} s; Ctrl-C again ends at once")
}

/// The event as a Kubernetes API server would give it.
pub(super) fn object(raw: &LiveEvent, status: &LiveEventStatus, since: Timestamp) -> Value {
    let mut object = serde_json::to_value(raw).unwrap_or_default();
    object["status"] = json!(status);
    let metadata = &mut object["metadata"];
    metadata["creationTimestamp"] = json!(Timestamp::from_second(since.as_second()).unwrap_or(since).to_string());
    if metadata["namespace"].is_null() {
        metadata["namespace"] = json!("default");
    }
    if metadata["generation"].is_null() {
        metadata["generation"] = json!(1);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_for_whom_it_waits_and_for_how_long() {
        let said = [(6, 3, 65), (1, 3, 9), (0, 3, 9), (0, 1, 1)].map(|(viewers, nodes, s)| waiting(viewers, nodes, s));
        let rest = "; Ctrl-C again ends at once";
        let expected = [
            "waiting for 6 viewers, at most 65 s",
            "waiting for 1 viewer, at most 9 s",
            "waiting for 3 processes to end, at most 9 s",
            "waiting for 1 process to end, at most 1 s",
        ];
        assert_eq!(said, expected.map(|text| format!("{text}{rest}")));
    }
}
