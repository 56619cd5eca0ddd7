//! The page that every edge serves.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Longest `logo`: a small picture as a data: URL fits.
pub const LOGO_CHARS_MAX: u32 = 8_192;

/// The page that every edge serves at /: the programme, the timetable and a player.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.logo) || self.logo.matches('^(https?://[!#-&(-+.-:=?-~-]+|data:image/(png|jpeg|webp|svg[+]xml);base64,[A-Za-z0-9+/=]+)$')")
        .message("playback.page.logo must be an http(s) URL, or a picture as data:image/png;base64,… (png, jpeg, webp or svg+xml)"),
    validation = Rule::new("!has(self.accentColor) || self.accentColor.matches('^#[0-9a-fA-F]{6}$')")
        .message("playback.page.accentColor must be a colour such as #1d5fd1")
)]
pub struct PageSpec {
    /// Whether edges serve the page, programme.json and state.json. Playlists and segments do not depend on it.
    #[serde(default = "yes")]
    pub enabled: bool,

    /// A picture beside the title: an http(s) URL, which every viewer's browser then asks for, or a small picture as
    /// data:image/png;base64,… so that no other server is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = LOGO_CHARS_MAX))]
    pub logo: Option<String>,

    /// Colour of links and marks, e.g. #1d5fd1. It is made dark or light enough to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 7))]
    pub accent_color: Option<String>,
}

impl Default for PageSpec {
    fn default() -> Self {
        Self { enabled: true, logo: None, accent_color: None }
    }
}

fn yes() -> bool {
    true
}
