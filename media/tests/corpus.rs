//! Replays the corpora of the fuzz targets: what a fuzzer once found stays found.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../fuzz/checks/playlist.rs"]
mod playlist;
#[path = "../fuzz/checks/ts.rs"]
mod ts;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{folder} is empty");
    for file in files {
        println!("{}", file.display());
        check(&std::fs::read(&file).unwrap());
    }
}

#[test]
fn segments_of_the_corpus_are_read_back() {
    replay("ts", ts::round_trip);
}

#[test]
fn playlists_of_the_corpus_are_read_back() {
    replay("playlist", playlist::round_trip);
}
