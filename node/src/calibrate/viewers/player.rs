//! A viewer of HLS: the page, then a playlist each target duration and the segments that are new in it, on a connection
//! that is kept as long as the edge keeps it.

use super::http::{Head, Line};
use super::{Tally, Target};
use anyhow::{Context, ensure};
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::{Instant, sleep_until};

/// Watches until something fails.
pub(super) async fn watch(target: &Target, tally: &Tally) -> anyhow::Result<()> {
    let folder = format!("/live/{}", target.stream);
    let mut player = Player { target, tally, line: None };
    player.text(&format!("{folder}/index.m3u8")).await?;
    let mut last: Option<String> = None;
    loop {
        let began = Instant::now();
        let playlist = player.text(&format!("{folder}/media.m3u8")).await?;
        let playlist = std::str::from_utf8(&playlist).context("a playlist is no text")?;
        let new = new_segments(playlist, last.as_deref());
        for name in &new {
            player.segment(&format!("{folder}/{name}")).await?;
        }
        // One that has not changed is looked at sooner (RFC 8216, 6.3.4).
        let pause = if new.is_empty() { target.period / 2 } else { target.period };
        last = new.last().map(|name| (*name).to_owned()).or(last);
        sleep_until(began + pause).await;
    }
}

struct Player<'a> {
    target: &'a Target,
    tally: &'a Tally,
    line: Option<Line>,
}

impl Player<'_> {
    async fn begin(&mut self, path: &str) -> anyhow::Result<(Line, Head)> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => Line::open(self.target.http).await?,
        };
        let head = line.begin(path, self.tally).await?;
        ensure!(head.status == 200, "GET {path}: status {}", head.status);
        Ok((line, head))
    }

    async fn text(&mut self, path: &str) -> anyhow::Result<bytes::Bytes> {
        let (mut line, head) = self.begin(path).await?;
        let text = line.text(&head, self.tally).await?;
        self.line = Some(line).filter(|_| !head.close);
        Ok(text)
    }

    async fn segment(&mut self, path: &str) -> anyhow::Result<()> {
        let (mut line, head) = self.begin(path).await?;
        line.drop_body(&head, self.tally).await?;
        self.line = Some(line).filter(|_| !head.close);
        self.tally.segments.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// What is listed after `last`; of a list that is seen for the first time the newest, as only what follows is measured.
fn new_segments<'a>(playlist: &'a str, last: Option<&str>) -> Vec<&'a str> {
    let listed: Vec<&str> = playlist.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let from = match last {
        // One that is no longer listed is long past.
        Some(last) => listed.iter().position(|name| *name == last).map_or(0, |at| at + 1),
        None => listed.len().saturating_sub(1),
    };
    listed.get(from..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::new_segments;

    #[test]
    fn a_viewer_fetches_what_it_has_not_seen() {
        let list = "#EXTM3U\n#EXTINF:2.0,\n1.ts\n#EXTINF:2.0,\n2.ts\n#EXTINF:2.0,\n3.ts\n";
        let table: [(Option<&str>, &[&str]); 4] = [
            (None, &["3.ts"]),
            (Some("1.ts"), &["2.ts", "3.ts"]),
            (Some("3.ts"), &[]),
            (Some("0.ts"), &["1.ts", "2.ts", "3.ts"]),
        ];
        for (last, new) in table {
            assert_eq!(new_segments(list, last), new, "{last:?}");
        }
    }
}
