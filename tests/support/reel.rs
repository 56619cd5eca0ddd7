//! An encoder of our own, for what real ones cannot be made to do: clips one after another in one RTMP connection, and
//! any FLV tags at any time with any time stamp.

use crate::media::{Clip, file};
use crate::wait::{unix_ms, until};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use lectern_media::flv::{FILE_HEADER_LENGTH, TAG_HEADER_LENGTH, TAG_TRAILER_LENGTH};
use lectern_media::machine::Output;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session, set_data_frame};
use lectern_media::track::Track;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Time between two pictures of every clip, rounded up: the next clip begins so long after the last message.
const PICTURE_MS: u32 = 34;

/// One message for the ingest.
#[derive(Clone, Debug)]
pub struct Tag {
    /// FLV tag type: 8 audio, 9 video, 18 data.
    pub kind: u8,
    /// When it is sent, milliseconds from the start.
    pub at_ms: u32,
    /// Its time stamp; wraps.
    pub t_ms: u32,
    /// FLV tag body.
    pub body: Bytes,
}

impl Tag {
    /// A video tag whose time stamp is when it is sent.
    #[must_use]
    pub fn video(at_ms: u32, body: &'static [u8]) -> Self {
        Self { kind: 9, at_ms, t_ms: at_ms, body: Bytes::from_static(body) }
    }

    /// A configuration of audio or video.
    #[must_use]
    pub fn is_header(&self) -> bool {
        matches!(self.kind, 8 | 9) && self.body.get(1) == Some(&0)
    }

    /// A video picture, with whether decoding can begin at it.
    #[must_use]
    pub fn picture(&self) -> Option<bool> {
        let media = self.kind == 9 && self.body.get(1) == Some(&1);
        media.then(|| self.body.first().is_some_and(|first| first >> 4 == 1))
    }

    /// The same message with another body.
    #[must_use]
    pub fn with_body(&self, body: &[u8]) -> Self {
        Self { body: Bytes::copy_from_slice(body), ..self.clone() }
    }

    /// The same message with one byte of its body changed.
    #[must_use]
    pub fn with_byte(&self, at: usize, value: u8) -> Self {
        let mut body = self.body.to_vec();
        if let Some(byte) = body.get_mut(at) {
            *byte = value;
        }
        Self { body: body.into(), ..self.clone() }
    }
}

/// Clips one after another; times go on.
#[derive(Clone, Debug, Default)]
pub struct Reel {
    tags: Vec<Tag>,
}

impl Reel {
    /// Appends the first `seconds` of a clip: metadata, configurations, media.
    ///
    /// # Errors
    /// When the clip cannot be made or read.
    pub fn then(mut self, clip: Clip, seconds: u32) -> Result<Self> {
        let begin = self.tags.last().map_or(0, |last| last.at_ms + PICTURE_MS);
        let path = file(clip)?;
        let bytes = Bytes::from(std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?);
        let tags = read(bytes).with_context(|| format!("{} is no FLV", path.display()))?;
        let of_it = tags.into_iter().filter(|tag| tag.t_ms < seconds * 1_000);
        self.tags.extend(of_it.map(|tag| Tag { at_ms: begin + tag.t_ms, t_ms: begin + tag.t_ms, ..tag }));
        Ok(self)
    }

    /// What is sent, in order.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Puts any number of messages, at any time, in the place of each.
    #[must_use]
    pub fn each(mut self, change: impl FnMut(Tag) -> Vec<Tag>) -> Self {
        self.tags = self.tags.into_iter().flat_map(change).collect();
        // Stable: messages of one time stay in their order.
        self.tags.sort_by_key(|tag| tag.at_ms);
        self
    }

    /// Publishes it at real time, in one connection, and goes.
    #[must_use]
    pub fn publish(self, url: &str) -> JoinHandle<Result<()>> {
        let url = url.to_owned();
        tokio::spawn(async move { self.run(&url).await.with_context(|| format!("publishing to {url}")) })
    }

    async fn run(self, url: &str) -> Result<()> {
        let (server, path) =
            url.strip_prefix("rtmp://").and_then(|rest| rest.split_once('/')).context("no RTMP URL")?;
        let (app, stream) = path.split_once('/').context("no stream in the URL")?;
        let mut socket = TcpStream::connect(server).await.context("failed to connect")?;
        let config = ClientConfig::new(Mode::Publish, &format!("rtmp://{server}/{app}"), app, stream);
        let mut session = Session::new(config, unix_ms());
        while !write(&mut session, &mut socket).await? {
            hear(&mut session, &mut socket).await?;
        }
        let began = Instant::now();
        for tag in self.tags {
            let due = until(began, Duration::from_millis(tag.at_ms.into()));
            tokio::pin!(due);
            loop {
                tokio::select! {
                    () = &mut due => break,
                    heard = hear(&mut session, &mut socket) => heard?,
                }
                write(&mut session, &mut socket).await?;
            }
            match tag.kind {
                8 => session.send_media(Track::Audio, tag.t_ms, &tag.body)?,
                9 => session.send_media(Track::Video, tag.t_ms, &tag.body)?,
                _ => session.send_data(tag.t_ms, &set_data_frame(&tag.body))?,
            }
            write(&mut session, &mut socket).await?;
        }
        session.close();
        write(&mut session, &mut socket).await?;
        Ok(())
    }
}

/// Writes what the session has to say; whether it just became ready.
async fn write(session: &mut Session, socket: &mut TcpStream) -> Result<bool> {
    let mut ready = false;
    loop {
        match session.poll() {
            Output::Send(bytes) => socket.write_all(&bytes).await.context("failed to send")?,
            Output::Event(Event::Ready) => ready = true,
            Output::Event(Event::Rejected { code, description }) => bail!("rejected: {code} {description}"),
            Output::Event(_) => {}
            Output::Wait(_) => return Ok(ready),
        }
    }
}

/// Hears what the server says next.
async fn hear(session: &mut Session, socket: &mut TcpStream) -> Result<()> {
    let mut buffer = vec![0; 4_096];
    let read = socket.read(&mut buffer).await.context("failed to read")?;
    if read == 0 {
        bail!("the server closed the connection");
    }
    buffer.truncate(read);
    Ok(session.handle_bytes(unix_ms(), buffer.into())?)
}

/// The tags of a file.
fn read(mut file: Bytes) -> Result<Vec<Tag>> {
    let mut tags = Vec::new();
    if file.len() < FILE_HEADER_LENGTH {
        bail!("it ends in its header");
    }
    let _ = file.split_to(FILE_HEADER_LENGTH);
    while let Some(&[kind, l2, l1, l0, t2, t1, t0, t3, ..]) = file.get(..TAG_HEADER_LENGTH) {
        let length = u32::from_be_bytes([0, l2, l1, l0]) as usize;
        let _ = file.split_to(TAG_HEADER_LENGTH);
        if file.len() < length + TAG_TRAILER_LENGTH {
            bail!("it ends in a tag");
        }
        let t_ms = u32::from_be_bytes([t3, t2, t1, t0]);
        tags.push(Tag { kind, at_ms: t_ms, t_ms, body: file.split_to(length) });
        let _ = file.split_to(TAG_TRAILER_LENGTH);
    }
    Ok(tags)
}
