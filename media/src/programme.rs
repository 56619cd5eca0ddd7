//! What pages are told: `programme.json` and a stream's `state.json`, as functions of what is relayed. So every edge
//! answers the same bytes. Fields are only ever added: a page and an edge of two releases meet during an update.

use crate::hls::Utc;
use crate::ledger::{Ledger, Life};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What the organiser says of the event, as far as pages show it. Times are text (RFC 3339), which is passed on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Programme {
    /// What people call the event.
    pub title: String,
    /// The streams, in the organiser's order.
    pub streams: Vec<Titled>,
    /// The timetable, each occurrence by itself, in the order of time.
    pub sessions: Vec<Session>,
    /// How the page looks.
    pub look: Look,
}

/// A stream and what people call it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Titled {
    /// Path segment of its URLs.
    pub name: String,
    /// What people call it.
    pub title: String,
}

/// One occurrence of the timetable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Session {
    /// What people call it.
    pub title: String,
    /// Its first moment.
    pub start: String,
    /// Its end.
    pub end: String,
    /// The streams that belong to it; none: all.
    pub streams: Vec<String>,
}

/// What the organiser adds to the look of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Look {
    /// URL of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accent_color: Option<String>,
}

/// Where a stream is, as its ledger says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was ever listed.
    Idle,
    /// Segments are listed, and more are to come.
    Live {
        /// Unix milliseconds of the presentation's first epoch.
        since_ms: u64,
    },
    /// The presentation is over.
    Ended,
}

impl State {
    /// The state that `ledger` says. An edge's own knowledge, a link or a clock, has no part in it.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        match (&ledger.presentation, ledger.life) {
            (None, _) => Self::Idle,
            (Some(_), Life::Ended | Life::Gone) => Self::Ended,
            (Some(_), Life::Open) if ledger.listed().is_empty() => Self::Idle,
            (Some(presentation), Life::Open) => Self::Live { since_ms: presentation.first_epoch },
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Live { .. } => "live",
            Self::Ended => "ended",
        }
    }

    fn since(self) -> Option<String> {
        match self {
            Self::Live { since_ms } => Some(Utc(since_ms).to_string()),
            Self::Idle | Self::Ended => None,
        }
    }
}

/// The version of both documents: raised when a field changes its meaning, which no release has done yet.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    event: Event<'a>,
    page: &'a Look,
    streams: Vec<Stream<'a>>,
    sessions: &'a [Session],
}

#[derive(Serialize)]
struct Event<'a> {
    title: &'a str,
}

#[derive(Serialize)]
struct Stream<'a> {
    name: &'a str,
    title: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

#[derive(Serialize)]
struct StateDocument<'a> {
    version: u32,
    stream: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

/// `programme.json`. `states` are those of `programme.streams`, in that order; what is missing is idle.
#[must_use]
pub fn programme_json(programme: &Programme, states: &[State]) -> Bytes {
    let states = states.iter().copied().chain(std::iter::repeat(State::Idle));
    let streams = programme.streams.iter().zip(states).map(|(stream, state)| Stream {
        name: &stream.name,
        title: &stream.title,
        state: state.name(),
        since: state.since(),
    });
    line(&Document {
        version: VERSION,
        event: Event { title: &programme.title },
        page: &programme.look,
        streams: streams.collect(),
        sessions: &programme.sessions,
    })
}

/// `state.json` of one stream.
#[must_use]
pub fn state_json(stream: &str, state: State) -> Bytes {
    line(&StateDocument { version: VERSION, stream, state: state.name(), since: state.since() })
}

fn line(document: &impl Serialize) -> Bytes {
    // Plain structs with string keys: serialising them cannot fail.
    let mut json = serde_json::to_vec(document).unwrap_or_default();
    json.push(b'\n');
    json.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Entry, Hash, ListProfile, Presentation, Profile, Variant};

    fn programme() -> Programme {
        let titled = |name: &str, title: &str| Titled { name: name.into(), title: title.into() };
        Programme {
            title: "Open \"lectures\" <img onerror=alert(1)> ]]>".into(),
            streams: vec![titled("hall-b", "Hall B"), titled("hall-a", "قاعة")],
            sessions: vec![Session {
                title: "Morning".into(),
                start: "2026-12-01T01:00:00Z".into(),
                end: "2026-12-01T04:00:00Z".into(),
                streams: vec!["hall-a".into()],
            }],
            look: Look { logo: None, accent_color: Some("#a01020".into()) },
        }
    }

    fn ledger(life: Life, segments: u64) -> Ledger {
        let entry = |msn| Entry {
            msn,
            epoch: 1_796_086_800_007,
            profile: Profile::ONE,
            dseq: 1,
            t_ms: 0,
            duration_us: 2_000_000,
            length: 0,
            hash: Hash::of(b""),
            messages: 0,
            opens_epoch: false,
            gap: false,
        };
        Ledger {
            presentation: Some(Presentation {
                first_epoch: 1_796_086_800_007,
                target_s: 2,
                variant: Variant { bandwidth: 1, ..Variant::default() },
                list_profile: ListProfile::ONE,
            }),
            life,
            first: 1,
            entries: (1..=segments).map(entry).collect(),
            ..Ledger::default()
        }
    }

    #[test]
    fn a_state_is_what_the_ledger_says() {
        let since_ms = 1_796_086_800_007;
        let table = [
            (Ledger::default(), State::Idle),
            (ledger(Life::Open, 0), State::Idle),
            (ledger(Life::Open, 3), State::Live { since_ms }),
            (ledger(Life::Ended, 3), State::Ended),
            (ledger(Life::Gone, 0), State::Ended),
        ];
        for (ledger, state) in table {
            assert_eq!(State::of(&ledger), state, "{ledger:?}");
        }
    }

    #[test]
    fn the_documents_are_these_bytes() {
        let live = State::Live { since_ms: 1_796_086_800_007 };
        assert_eq!(
            programme_json(&programme(), &[State::Ended, live]),
            concat!(
                r#"{"version":1,"event":{"title":"Open \"lectures\" <img onerror=alert(1)> ]]>"},"#,
                r##""page":{"accentColor":"#a01020"},"##,
                r#""streams":[{"name":"hall-b","title":"Hall B","state":"ended"},"#,
                r#"{"name":"hall-a","title":"قاعة","state":"live","since":"2026-12-01T01:00:00.007Z"}],"#,
                r#""sessions":[{"title":"Morning","start":"2026-12-01T01:00:00Z","end":"2026-12-01T04:00:00Z","streams":["hall-a"]}]}"#,
                "\n"
            )
        );
        assert_eq!(state_json("hall-a", State::Idle), "{\"version\":1,\"stream\":\"hall-a\",\"state\":\"idle\"}\n");
    }

    #[test]
    fn a_programme_of_another_release_is_read_as_far_as_it_is_known() {
        let read: Programme = serde_json::from_str(r#"{"title":"x","new":[1],"look":{"font":"y"}}"#).expect("reads");
        assert_eq!(read, Programme { title: "x".into(), ..Programme::default() });
    }
}
