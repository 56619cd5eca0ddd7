//! Small encoded files, made once by ffmpeg and kept: publishing is a copy, so that the machine's time goes to what is
//! tested.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Changes when the files are to be made anew.
const VERSION: u32 = 2;
/// Length of a file in seconds: publishers repeat it. Whole groups of pictures, so that the seam is one like any other.
const LENGTH_S: u32 = 24;
/// The same where a group is 250 pictures at 30 a second.
const LENGTH_DEFAULT_GOP_S: u32 = 25;

/// What an encoder might send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clip {
    /// H.264 without B-frames at 30 frames a second, a key frame every 2 s, AAC; 700 kbit/s.
    Plain,
    /// The same with up to three B-frames between others.
    BFrames,
    /// x264's 250-frame default: a key frame every 8.3 s.
    DefaultGop,
    /// AAC alone.
    AudioOnly,
    /// H.264 alone.
    VideoOnly,
    /// Another size: another configuration.
    Small,
    /// A hundred kbit/s in all, for crowds in numbers.
    Thin,
}

impl Clip {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::BFrames => "b-frames",
            Self::DefaultGop => "default-gop",
            Self::AudioOnly => "audio-only",
            Self::VideoOnly => "video-only",
            Self::Small => "small",
            Self::Thin => "thin",
        }
    }

    fn arguments(self) -> Vec<String> {
        let length_s = if self == Self::DefaultGop { LENGTH_DEFAULT_GOP_S } else { LENGTH_S };
        let size = match self {
            Self::Small => "320x180",
            Self::Thin => "160x90",
            Self::Plain | Self::BFrames | Self::DefaultGop | Self::AudioOnly | Self::VideoOnly => "640x360",
        };
        let (video, buffer, audio) = if self == Self::Thin { ("64k", "128k", "24k") } else { ("600k", "1200k", "96k") };
        let mut words = Vec::new();
        if self != Self::AudioOnly {
            words.push(format!("-f lavfi -i testsrc2=size={size}:rate=30:duration={length_s}"));
        }
        if self != Self::VideoOnly {
            words.push(format!("-f lavfi -i sine=frequency=440:sample_rate=48000:duration={length_s}"));
        }
        if self != Self::AudioOnly {
            let rate = format!("-b:v {video} -maxrate {video} -bufsize {buffer}");
            words.push(format!("-c:v libx264 -preset veryfast {rate} -pix_fmt yuv420p"));
            words.push(if self == Self::BFrames { "-bf 3".into() } else { "-bf 0".into() });
            if self != Self::DefaultGop {
                words.push("-g 60 -keyint_min 60 -sc_threshold 0".into());
            }
        }
        if self != Self::VideoOnly {
            words.push(format!("-c:a aac -b:a {audio}"));
        }
        words.join(" ").split(' ').map(str::to_owned).collect()
    }
}

/// The file of a clip, made if it is not there yet.
///
/// # Errors
/// When ffmpeg cannot make it.
pub fn file(clip: Clip) -> Result<PathBuf> {
    // Tests of one process make a clip once; its draft is named after the process.
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = folder()?;
    let path = folder.join(format!("{}-{VERSION}.flv", clip.name()));
    if path.exists() {
        return Ok(path);
    }
    // Made beside it and renamed: tests run side by side, and the last one to finish wins with the same bytes.
    let draft = folder.join(format!("{}-{VERSION}-{}.part.flv", clip.name(), std::process::id()));
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(clip.arguments())
        .args(["-flvflags", "no_duration_filesize"])
        .arg(&draft)
        .output()
        .context("failed to start ffmpeg (scripts/setup test installs it)")?;
    if !done.status.success() {
        bail!("ffmpeg failed to make {}: {}", path.display(), String::from_utf8_lossy(&done.stderr));
    }
    std::fs::rename(&draft, &path).with_context(|| format!("failed to name {}", path.display()))?;
    Ok(path)
}

/// Where the files are kept: beside the build, so that a clean build keeps nothing old.
fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find this test's own path")?;
    let folder = own.ancestors().nth(3).unwrap_or(Path::new("/tmp")).join("test-media");
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    Ok(folder)
}
