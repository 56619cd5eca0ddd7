//! Encoders inside the cluster's network: ffmpeg pushes a small encoded file, without encoding.

use crate::event::LIMIT;
use crate::namespace::Namespace;
use e2e::media::{Clip, file};
use e2e::process::Running;
use lectern_testcluster::wait;
use std::process::Stdio;

const ARGUMENTS: [&str; 5] = ["-v", "warning", "-nostdin", "-re", "-stream_loop"];

/// Publishes `clip` over and over; ends when it is cut off. It starts once the Service leads to a pod: a node's rules
/// follow its endpoints with a second's delay.
pub fn once(at: &Namespace<'_>, name: &str, clip: Clip, url: &str) -> Running {
    let place = url.trim_start_matches("rtmp://").split('/').next().unwrap_or_default().replace(':', "/");
    wait::until_true(&format!("a listener at {place}"), LIMIT, || {
        let mut dial = at.cluster.exec_in_netns("timeout");
        dial.args(["2", "bash", "-c", &format!(": < /dev/tcp/{place}")]).stderr(Stdio::null());
        dial.status().is_ok_and(|status| status.success())
    })
    .unwrap();
    let mut ffmpeg = at.cluster.exec_in_netns("ffmpeg");
    ffmpeg.args(ARGUMENTS).args(["-1", "-i"]).arg(file(clip).expect("the clip can be made"));
    ffmpeg.args(["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize", url]);
    Running::start(name, at.folder(), &mut ffmpeg).expect("ffmpeg starts")
}

/// As [`once`], and dials again half a second after it was cut off, as encoders do. Its log tells when.
pub fn persistent(at: &Namespace<'_>, name: &str, clip: Clip, url: &str) -> Running {
    let script = "while :; do echo dialling; ffmpeg -v warning -nostdin -re -stream_loop -1 -i \"$0\" -c copy -f flv \
        -flvflags no_duration_filesize \"$1\"; sleep 0.5; done";
    let mut shell = at.cluster.exec_in_netns("sh");
    shell.arg("-c").arg(script).arg(file(clip).expect("the clip can be made")).arg(url);
    Running::start(name, at.folder(), &mut shell).expect("the shell starts")
}
