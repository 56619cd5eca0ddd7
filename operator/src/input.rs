//! `-f EVENT.yaml`: a LiveEvent from a file. What the file holds beyond the API is an error here, where no other program
//! would tell the writer of a misspelt field.

use crate::validate::{self, Event, Problem};
use anyhow::{Context, Result, bail};
use lectern_api::live_event::LiveEvent;
use serde::Deserialize;
use std::io::Read;
use std::path::Path;

/// Largest file in bytes: ten times what the largest event needs.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The event in the file at `path` (`-`: standard input), as written and as checked.
///
/// # Errors
/// When the file cannot be read, is no LiveEvent, has fields that LiveEvents do not have, or cannot work.
pub fn event(path: &Path) -> Result<(LiveEvent, Event)> {
    let text = text(path).with_context(|| format!("failed to read {}", path.display()))?;
    let raw = parse(&text).with_context(|| format!("failed to understand {}", path.display()))?;
    match validate::validate(&raw) {
        Ok(event) => Ok((raw, event)),
        Err(problems) => bail!("{} cannot work:\n{}", path.display(), listed(&problems)),
    }
}

/// The LiveEvent in `text`.
///
/// # Errors
/// With the path of the field that is wrong or unknown.
pub fn parse(text: &str) -> Result<LiveEvent> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let first = documents.next().context("the file is empty")?;
    let value = serde_yaml::Value::deserialize(first).context("it is no YAML")?;
    if documents.next().is_some_and(|rest| serde_yaml::Value::deserialize(rest).is_ok_and(|rest| !rest.is_null())) {
        bail!("it holds more than one document; one event is run at a time");
    }
    let field = |name: &str| value.get(name).and_then(serde_yaml::Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (field("apiVersion"), field("kind"));
    if (version.as_str(), kind.as_str()) != ("lectern.dev/v1alpha1", "LiveEvent") {
        bail!("it begins with apiVersion {version:?}, kind {kind:?}; expected lectern.dev/v1alpha1, LiveEvent");
    }
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let read: Result<LiveEvent, serde_yaml::Error> =
        serde_ignored::deserialize(tracked, |path| unknown.push(path.to_string()));
    // These two were looked at above; the type itself has no field for them.
    unknown.retain(|path| path != "apiVersion" && path != "kind");
    let event = read.map_err(|error| anyhow::anyhow!("{}: {error}", track.path()))?;
    if !unknown.is_empty() {
        bail!("a LiveEvent has no {}", unknown.join(", no "));
    }
    Ok(event)
}

fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "apiVersion: lectern.dev/v1alpha1\nkind: LiveEvent\nmetadata: {name: gala}\nspec:\n  streams: [{name: hall-a}]\n";

    #[test]
    fn the_smallest_event_is_a_name_and_one_stream() {
        let event = parse(SMALLEST).unwrap();
        assert_eq!(event.spec.edges.min, 2);
        assert!(validate::validate(&event).is_ok());
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_path() {
        let table = [
            ("  colour: red\n", "spec.colour"),
            ("  edges: {minimum: 3}\n", "spec.edges.minimum"),
            ("  hls: {window: eight}\n", "spec.hls.window"),
            ("  playback: {protocols: [HLS]}\n", "spec.playback.protocols[0]"),
        ];
        for (line, path) in table {
            let error = format!("{:#}", parse(&format!("{SMALLEST}{line}")).unwrap_err());
            assert!(error.contains(path), "{error}");
        }
    }

    #[test]
    fn another_kind_is_refused() {
        let error = parse("apiVersion: v1\nkind: Pod\n").unwrap_err().to_string();
        assert!(error.contains("LiveEvent"), "{error}");
        assert!(parse("").is_err());
        assert!(parse(&format!("{SMALLEST}---\n{SMALLEST}")).is_err());
    }
}
