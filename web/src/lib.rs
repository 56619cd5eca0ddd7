//! The pages that edges serve, as a table of files. The sources beside it (`player/`, `page/`, `shared/`) are TypeScript;
//! `make web` builds them into `dist/`, which is committed, so that building this crate needs no Node.js. A test
//! compares `dist/` with a fresh build.

mod table;

/// The content security policy of every page, but for who may frame it and where a logo may come from. No script and no
/// style but ours, and no text may become markup (Trusted Types).
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self' blob:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";

/// A script or a style sheet.
#[derive(Debug)]
pub struct Asset {
    stem: &'static str,
    hash: &'static str,
    extension: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

/// A page. It holds no data, so it is the same for every event; the URL and `programme.json` tell it the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The programme of the event.
    Programme,
    /// One hall, with the programme below.
    Hall,
    /// One hall alone, for frames of other sites.
    Embed,
}

/// All pages.
pub const PAGES: [Page; 3] = [Page::Programme, Page::Hall, Page::Embed];

impl Page {
    /// The page as HTML. They differ in what they say where scripts do not run.
    #[must_use]
    pub const fn html(self) -> &'static [u8] {
        match self {
            Self::Programme => include_bytes!("../dist/index.html"),
            Self::Hall => include_bytes!("../dist/live.html"),
            Self::Embed => include_bytes!("../dist/embed.html"),
        }
    }
}

impl Asset {
    /// Its media type.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        if self.extension == "css" { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" }
    }
}

/// All assets, each with its index.
pub fn assets() -> impl Iterator<Item = &'static Asset> {
    table::ASSETS.iter()
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which of [`assets`].
    pub index: usize,
    /// The name carries the hash of exactly these bytes: they may be kept for ever.
    pub exact: bool,
}

/// The asset that `name` means: `page.HASH.js`, or `page.js`. A hash of another release means the same file of this one,
/// since pages and edges of two releases meet during an update.
#[must_use]
pub fn find(name: &str) -> Option<Found> {
    let mut parts = name.split('.');
    let (stem, middle, last, rest) = (parts.next()?, parts.next()?, parts.next(), parts.next());
    let (hash, extension) = match last {
        Some(extension) => (Some(middle), extension),
        None => (None, middle),
    };
    let well_formed = rest.is_none() && hash.is_none_or(is_hash);
    let index = table::ASSETS.iter().position(|asset| asset.stem == stem && asset.extension == extension)?;
    well_formed.then(|| Found { index, exact: hash == Some(table::ASSETS[index].hash) })
}

/// Eight digits of base 32, as the bundler writes hashes.
fn is_hash(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(asset: &Asset) -> String {
        format!("{}.{}.{}", asset.stem, asset.hash, asset.extension)
    }

    #[test]
    fn an_asset_is_found_by_its_name_with_any_hash_and_without() {
        for (index, asset) in assets().enumerate() {
            assert_eq!(find(&name(asset)), Some(Found { index, exact: true }), "{}", name(asset));
            let of_another_release = format!("{}.00000000.{}", asset.stem, asset.extension);
            let without = format!("{}.{}", asset.stem, asset.extension);
            for other in [of_another_release, without] {
                assert_eq!(find(&other), Some(Found { index, exact: false }), "{other}");
            }
        }
    }

    #[test]
    fn no_other_name_is_an_asset() {
        for other in
            ["", "page", ".js", "page.", "other.js", "page.js.map", "page.short.js", "page.00000000.js.x", "page/js"]
        {
            assert_eq!(find(other), None, "{other:?}");
        }
    }

    #[test]
    fn pages_name_assets_of_this_release_and_none_of_elsewhere() {
        for page in PAGES {
            let html = str::from_utf8(page.html()).expect("pages are text");
            let named: Vec<_> =
                html.split('"').skip(1).step_by(2).filter(|v| v.contains('/') || v.contains(':')).collect();
            assert_eq!(named.len(), 4, "{page:?}: {named:?}");
            for url in named.iter().filter(|url| **url != "data:,") {
                let found = url.strip_prefix("/-/").and_then(find);
                assert!(found.is_some_and(|found| found.exact), "{page:?} names {url}");
            }
        }
    }

    #[test]
    fn what_is_in_the_pages_needs_no_exception_from_the_policy() {
        for page in PAGES {
            let html = str::from_utf8(page.html()).expect("pages are text");
            let handlers = html.split_whitespace().filter(|word| word.starts_with("on") && word.contains('=')).count();
            assert!(!html.contains("style=") && !html.contains("<style") && handlers == 0, "{page:?}: {html}");
            assert_eq!(html.matches("<script").count(), 1, "{page:?}: {html}");
        }
    }
}
