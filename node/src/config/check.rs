//! What a configuration must fulfil beyond its types. Pure; every problem, not the first.

use crate::ingest::forward::policy::Policy;
use lectern_api::limits::{LABEL_BYTES_MAX, MERGE_WINDOW_MS_MAX, NAME_BYTES_MAX, STREAMS_MAX};
use lectern_api::names::is_label;
use lectern_api::node_config::{Discovery, EdgeConfig, IngestConfig};
use lectern_media::hls::cut::FIRST_SEGMENT_MS_MAX;
use std::collections::BTreeSet;

/// Shortest segment in milliseconds: below, a request per segment costs more than its bytes.
const SEGMENT_MS_MIN: u64 = 500;
/// Fewest segments in the list: three is RFC 8216's floor for live, one more is the one that just left.
const WINDOW_MIN: u32 = 4;
/// Most segments in the list: a ledger travels in every greeting.
const WINDOW_MAX: u32 = 60;

pub(super) fn ingest(config: &IngestConfig) -> Vec<String> {
    let mut problems = Vec::new();
    event(&config.event, &mut problems);
    if config.streams.len() > STREAMS_MAX as usize {
        problems.push(format!("`streams`: {} of them, at most {STREAMS_MAX} fit one event", config.streams.len()));
    }
    let mut seen = BTreeSet::new();
    for (i, stream) in config.streams.iter().enumerate() {
        if !is_label(&stream.name, NAME_BYTES_MAX) {
            problems.push(format!(
                "`streams[{i}].name`: {:?} is no DNS label of at most {NAME_BYTES_MAX} characters (a-z, 0-9, -)",
                stream.name
            ));
        } else if !seen.insert(stream.name.as_str()) {
            problems.push(format!("`streams[{i}].name`: {:?} is there twice", stream.name));
        }
    }
    let hls = config.hls;
    between("hls.segmentMs", hls.segment_ms, SEGMENT_MS_MIN, FIRST_SEGMENT_MS_MAX, &mut problems);
    between("hls.window", hls.window.into(), WINDOW_MIN.into(), WINDOW_MAX.into(), &mut problems);
    for (i, forward) in config.forward.iter().enumerate() {
        // The name is a file in a folder: nothing that leads out of it.
        if forward.name.is_empty() || forward.name.starts_with('.') || forward.name.contains('/') {
            problems.push(format!("`forward[{i}].name`: {:?} is no file name", forward.name));
        }
    }
    if !config.forward.is_empty() && config.forward_dir.is_none() {
        problems.push("`forwardDir`: missing, though `forward` names targets".to_owned());
    }
    problems.extend(config.forward_policy.as_ref().and_then(|policy| Policy::new(policy).err()));
    if config.seed_file.is_empty() {
        problems.push("`seedFile`: empty".to_owned());
    }
    if config.max_bitrate == 0 {
        problems.push("`maxBitrate`: 0 would refuse every publisher".to_owned());
    }
    match &config.discovery {
        Discovery::Static { .. } => {}
        Discovery::File { path } if path.is_empty() => problems.push("`discovery.path`: empty".to_owned()),
        Discovery::Dns { host } if host.is_empty() => problems.push("`discovery.host`: empty".to_owned()),
        Discovery::EndpointSlices { service } if service.is_empty() => {
            problems.push("`discovery.service`: empty".to_owned());
        }
        Discovery::File { .. } | Discovery::Dns { .. } | Discovery::EndpointSlices { .. } => {}
    }
    problems
}

pub(super) fn edge(config: &EdgeConfig) -> Vec<String> {
    let mut problems = Vec::new();
    event(&config.event, &mut problems);
    if config.token_file.is_empty() {
        problems.push("`tokenFile`: empty".to_owned());
    }
    if config.viewers_per_edge == 0 {
        problems.push("`viewersPerEdge`: 0 would refuse every viewer".to_owned());
    }
    between("targetUtilizationPercent", config.target_utilization_percent.into(), 1, 100, &mut problems);
    between("mergeWindowMs", config.merge_window_ms, 0, MERGE_WINDOW_MS_MAX, &mut problems);
    problems
}

fn event(name: &str, problems: &mut Vec<String>) {
    let good = name
        .split_once('/')
        .is_some_and(|(namespace, name)| is_label(namespace, LABEL_BYTES_MAX) && is_label(name, LABEL_BYTES_MAX));
    if !good {
        problems.push(format!("`event`: {name:?} is not of the form namespace/name"));
    }
}

fn between(field: &str, value: u64, min: u64, max: u64, problems: &mut Vec<String>) {
    if !(min..=max).contains(&value) {
        problems.push(format!("`{field}`: {value} is not between {min} and {max}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = r#"{"event": "gala", "seedFile": "", "discovery": {"type": "file", "path": ""},
            "streams": [{"name": "a"}, {"name": "a"}, {"name": "-b"}], "forward": [{"name": "../x"}],
            "hls": {"segmentMs": 100, "window": 3, "endAfterMs": 0}}"#;
        let problems = ingest(&serde_json::from_str(text).unwrap());
        let fields: Vec<_> = problems.iter().filter_map(|p| p.split('`').nth(1)).collect();
        assert_eq!(
            fields,
            [
                "event",
                "streams[1].name",
                "streams[2].name",
                "hls.segmentMs",
                "hls.window",
                "forward[0].name",
                "forwardDir",
                "seedFile",
                "discovery.path"
            ]
        );
    }
}
