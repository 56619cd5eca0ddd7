//! What edges serve is what was published: decoded pictures and AAC frames are the same, for independent readers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::follow::{Follower, agree};
use e2e::frames::{aac_frames, pictures, transport_stream};
use e2e::media::{Clip, file};
use e2e::nodes::Fleet;
use e2e::publish::ffmpeg_once;
use e2e::wait::wait_for;
use std::path::{Path, PathBuf};

/// A tail shorter than this is dropped at the end of an epoch, in pictures at 30 a second.
const TAIL_PICTURES: usize = 9;
/// The same in AAC frames of 1,024 samples at 48 kHz.
const TAIL_AAC: usize = 15;
/// AAC frames that may come before the key frame that opens the epoch, and belong to none.
const HEAD_AAC: usize = 2;

/// Publishes each clip once and gives the transport stream that all its segments make up.
async fn served(clips: &[(&str, Clip)], folder: &Path) -> Vec<PathBuf> {
    let names: Vec<&str> = clips.iter().map(|(name, _)| *name).collect();
    let mut fleet = Fleet::new(&names, 1).unwrap();
    fleet.hls.end_after_ms = 3_000;
    let _ingest = fleet.start_ingest().await.unwrap();
    let _edge = fleet.start_edge(0).await.unwrap();
    let base = format!("http://{}", fleet.edge(0).unwrap().http);
    let mut running = Vec::new();
    for (name, clip) in clips {
        let publisher = ffmpeg_once(name, fleet.folder.path(), *clip, &fleet.publish_url(name)).unwrap();
        running.push((Follower::start(&base, name), publisher));
    }
    let mut files = Vec::new();
    for ((follower, _), name) in running.iter().zip(&names) {
        wait_for(&format!("{name} has ended"), 60, || async {
            follower.seen().history.last()?.contains("#EXT-X-ENDLIST").then_some(())
        })
        .await
        .unwrap();
        let seen = follower.seen();
        agree(std::slice::from_ref(&seen)).unwrap();
        let mut segments: Vec<_> = seen.segments.iter().collect();
        segments.sort_by_key(|(name, _)| number_of(name));
        let whole: Vec<u8> = segments.into_iter().flat_map(|(_, body)| body.to_vec()).collect();
        assert!(transport_stream(&whole).unwrap() > 1_000, "{name}");
        let path = folder.join(format!("{name}.ts"));
        std::fs::write(&path, whole).unwrap();
        files.push(path);
    }
    files
}

/// The number in `PROFILE-EPOCH-MSN.ts`.
fn number_of(name: &str) -> u64 {
    name.trim_end_matches(".ts").rsplit('-').next().unwrap().parse().unwrap()
}

/// `served` is `published`, but for a head of at most `head` and a tail of at most `tail`.
fn assert_same(what: &str, served: &[String], published: &[String], head: usize, tail: usize) {
    let begin = published.iter().take(head + 1).position(|p| Some(p) == served.first());
    let published = &published[begin.unwrap_or_else(|| panic!("{what}: does not begin with what was published"))..];
    let wrong = served.iter().zip(published).position(|(s, p)| s != p);
    assert_eq!(wrong, None, "{what}: the first of {} that differs, of {} published", served.len(), published.len());
    assert!(served.len() + tail >= published.len(), "{what}: {} of {} are there", served.len(), published.len());
    assert!(served.len() <= published.len(), "{what}: {} became {}", published.len(), served.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn decoded_frames_equal_the_published_ones() {
    let clips = [("plain", Clip::Plain), ("b-frames", Clip::BFrames), ("default-gop", Clip::DefaultGop)];
    let folder = tempfile::tempdir().unwrap();
    for (served, (name, clip)) in served(&clips, folder.path()).await.iter().zip(clips) {
        let source = file(clip).unwrap();
        assert_same(
            &format!("{name}, pictures"),
            &pictures(served).await.unwrap(),
            &pictures(&source).await.unwrap(),
            0,
            TAIL_PICTURES,
        );
        assert_same(
            &format!("{name}, AAC frames"),
            &aac_frames(served).await.unwrap(),
            &aac_frames(&source).await.unwrap(),
            HEAD_AAC,
            TAIL_AAC,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_with_one_track_are_served_whole() {
    let folder = tempfile::tempdir().unwrap();
    let files = served(&[("audio", Clip::AudioOnly), ("video", Clip::VideoOnly)], folder.path()).await;
    let audio = (aac_frames(&files[0]).await.unwrap(), aac_frames(&file(Clip::AudioOnly).unwrap()).await.unwrap());
    assert_same("audio", &audio.0, &audio.1, 0, TAIL_AAC);
    let video = (pictures(&files[1]).await.unwrap(), pictures(&file(Clip::VideoOnly).unwrap()).await.unwrap());
    assert_same("video", &video.0, &video.1, 0, TAIL_PICTURES);
}
