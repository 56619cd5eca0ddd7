//! `status.streams`: what each session's encoder sends, in terms of the field.

use super::numbers::{self, measured, measured_fraction};
use super::standby;
use crate::plan::Observed;
use crate::validate::{Event, Stream};
use jiff::Timestamp;
use lectern_api::live_event::{LiveEventStatus, StreamStatus};
use lectern_api::node_status::{IngestStream, kind};

pub(super) fn of(event: &Event, seen: &Observed, previous: Option<&LiveEventStatus>) -> Vec<StreamStatus> {
    let one = |stream: &Stream| {
        let old = previous.and_then(|status| status.streams.iter().find(|old| old.name == stream.name.as_str()));
        with_urls(event, seen, stream, old, measured_part(seen, stream, old))
    };
    event.streams.iter().map(one).collect()
}

/// What the ingest says; what was known before while it says nothing.
fn measured_part(seen: &Observed, stream: &Stream, old: Option<&StreamStatus>) -> StreamStatus {
    let said = seen.ingest.as_ref().and_then(|ingest| ingest.status.as_ref()).and_then(|status| status.ingest.as_ref());
    let Some(said) = said else {
        return StreamStatus { name: stream.name.to_string(), ..old.cloned().unwrap_or_default() };
    };
    let Some(now) = said.streams.get(stream.name.as_str()) else {
        return StreamStatus { name: stream.name.to_string(), ..StreamStatus::default() };
    };
    if !now.live {
        // Faults of its keys are there before an encoder is.
        let warnings = warnings(&now.warnings, old);
        return StreamStatus { name: stream.name.to_string(), warnings, ..StreamStatus::default() };
    }
    let old = old.filter(|old| old.live);
    StreamStatus {
        name: stream.name.to_string(),
        live: true,
        since: now.since_ms.and_then(time),
        publisher: now.publisher.clone(),
        encoder: now.encoder.clone(),
        video_codec: now.video_codec.clone(),
        audio_codec: now.audio_codec.clone(),
        resolution: now.width.zip(now.height).map(|(width, height)| format!("{width}x{height}")),
        frame_rate: numbers::frame_rate(now.frame_rate, old.and_then(|old| old.frame_rate)),
        bit_rate: measured(now.bit_rate, old.and_then(|old| old.bit_rate)),
        gop: gop(now, old),
        warnings: warnings(&now.warnings, old),
        on_backup: now.on_backup,
        standby: now.standby.as_ref().map(|now| standby::of(now, old.and_then(|old| old.standby.as_ref()))),
        ..StreamStatus::default()
    }
}

fn with_urls(
    event: &Event,
    seen: &Observed,
    stream: &Stream,
    old: Option<&StreamStatus>,
    status: StreamStatus,
) -> StreamStatus {
    let name = &stream.name;
    let address = seen.ingest.as_ref().and_then(|ingest| ingest.address.as_ref());
    let http = seen.edges.as_ref().and_then(|edges| edges.http.as_ref());
    let kept = |url: fn(&StreamStatus) -> Option<String>| old.and_then(url);
    let own_keys = event.ingest.publish_keys.as_ref();
    let generation = event.ingest.key_generation.as_ref().map(|generation| generation.number);
    // Where nodes are processes there are no Secrets.
    let secrets = seen.ingest.as_ref().is_none_or(|ingest| ingest.process.is_none());
    StreamStatus {
        publish_url: address
            .map(|address| format!("rtmp://{address}/live/{name}"))
            .or_else(|| kept(|old| old.publish_url.clone())),
        key_secret: secrets
            .then(|| own_keys.map_or_else(|| event.name.publish_key(name, generation), ToString::to_string)),
        playback_url: http
            .map(|url| format!("{url}/live/{name}/index.m3u8"))
            .or_else(|| kept(|old| old.playback_url.clone())),
        ..status
    }
}

/// Key frame distance in seconds with one decimal, unless it moved by less than 5 %.
fn gop(now: &IngestStream, old: Option<&StreamStatus>) -> Option<String> {
    let before = old.and_then(|old| old.gop.as_ref()).and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
    let seconds = measured_fraction(now.gop_ms.map(|ms| ms as f64 / 1e3), before.filter(|_| now.gop_ms.is_some()));
    now.gop_ms.and(seconds).map(|seconds| format!("{seconds}s"))
}

/// A warning's text names a measured number; as long as the warning is of the same kind its first text stays.
fn warnings(now: &[String], old: Option<&StreamStatus>) -> Vec<String> {
    let before = old.map_or(&[][..], |old| old.warnings.as_slice());
    let one = |text: &String| before.iter().find(|before| kind(before) == kind(text)).unwrap_or(text).clone();
    now.iter().map(one).collect()
}

fn time(ms: u64) -> Option<String> {
    let second = i64::try_from(ms / 1_000).ok()?;
    Timestamp::from_second(second).ok().map(|at| at.to_string())
}
