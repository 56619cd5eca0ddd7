//! Publishing with real encoders.

use crate::media::{Clip, file};
use crate::process::Running;
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// ffmpeg publishes `clip` over and over at real time, without encoding.
///
/// # Errors
/// When the clip cannot be made or ffmpeg cannot be started.
pub fn ffmpeg(name: &str, folder: &Path, clip: Clip, url: &str) -> Result<Running> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-nostdin", "-re", "-stream_loop", "-1", "-i"]).arg(file(clip)?);
    command.args(["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize", url]);
    Running::start(name, folder, &mut command)
}

/// ffmpeg publishes `clip` once, and then says goodbye.
///
/// # Errors
/// When the clip cannot be made or ffmpeg cannot be started.
pub fn ffmpeg_once(name: &str, folder: &Path, clip: Clip, url: &str) -> Result<Running> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-nostdin", "-re", "-i"]).arg(file(clip)?);
    command.args(["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize", url]);
    Running::start(name, folder, &mut command)
}

/// As [`ffmpeg`], and dials again when it is cut off, as encoders do.
///
/// # Errors
/// When the clip cannot be made or the shell cannot be started.
pub fn persistent(name: &str, folder: &Path, clip: Clip, url: &str) -> Result<Running> {
    let script = "while :; do ffmpeg -v warning -nostdin -re -stream_loop -1 -i \"$0\" -c copy -f flv \
        -flvflags no_duration_filesize \"$1\"; sleep 0.5; done";
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(file(clip)?).arg(url);
    Running::start(name, folder, &mut command)
}
