//! Replays the corpora of the fuzz targets: what a fuzzer once found stays found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::duplicate_mod, missing_docs)]

#[path = "../fuzz/checks/amf0.rs"]
mod amf0;
#[path = "../fuzz/checks/chunk.rs"]
mod chunk;
#[path = "../fuzz/checks/client.rs"]
mod client;
#[path = "../fuzz/checks/codec.rs"]
mod codec;
#[path = "../fuzz/checks/flv.rs"]
mod flv;
#[path = "../fuzz/checks/playlist.rs"]
mod playlist;
#[path = "../fuzz/checks/relay.rs"]
mod relay;
#[path = "../fuzz/checks/server.rs"]
mod server;
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

#[test]
fn amf0_of_the_corpus_is_read_or_refused() {
    replay("amf0", amf0::round_trip);
}

#[test]
fn flv_of_the_corpus_is_read_or_refused() {
    replay("flv", flv::read);
}

#[test]
fn parameter_sets_of_the_corpus_change_a_header_once() {
    replay("codec", codec::changed);
}

#[test]
fn chunks_of_the_corpus_give_the_same_in_any_pieces() {
    replay("chunk", chunk::any_pieces);
}

#[test]
fn peers_of_the_corpus_do_not_disturb_a_server_session() {
    replay("server", server::any_phase);
}

#[test]
fn servers_of_the_corpus_do_not_disturb_a_client_session() {
    replay("client", client::any_phase);
}

#[test]
fn documents_of_the_corpus_do_not_disturb_an_edge_or_an_ingest() {
    replay("relay", relay::any_documents);
}
