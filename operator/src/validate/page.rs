//! The page of an event, read.

use super::Problems;
use lectern_api::live_event::{LOGO_CHARS_MAX, PageSpec};

/// What a picture in a `data:` URL may be.
const PICTURES: [&str; 4] = ["png", "jpeg", "webp", "svg+xml"];

/// The page as `raw` describes it; what is wrong with it goes to `problems`.
pub(super) fn read(raw: &PageSpec, problems: &mut Problems) -> PageSpec {
    let fits = |logo: &String| logo.len() <= LOGO_CHARS_MAX as usize && (is_url(logo) || is_picture(logo));
    problems.unless(
        raw.logo.as_ref().is_none_or(fits),
        "spec.playback.page.logo",
        format!(
            "must be an http(s) URL, or a picture as data:image/png;base64,… (png, jpeg, webp or svg+xml), of at most \
             {LOGO_CHARS_MAX} characters"
        ),
    );
    let digits = |color: &String| {
        color.strip_prefix('#').is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    problems.unless(
        raw.accent_color.as_ref().is_none_or(digits),
        "spec.playback.page.accentColor",
        "must be a colour such as #1d5fd1",
    );
    raw.clone()
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"',;<>".contains(&byte))
}

fn is_picture(text: &str) -> bool {
    let Some((kind, data)) = text.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,")) else {
        return false;
    };
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    PICTURES.contains(&kind) && !data.is_empty() && data.bytes().all(base64)
}
