//! Images without Docker: the same as the Dockerfile's, and the same bytes every time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up must fail")]

use lectern_testcluster::image::{self, Image, ImageFile, USER};
use std::io::Read as _;
use std::path::Path;

/// The instructions of the Dockerfile's last stage, lines joined.
fn last_stage() -> Vec<String> {
    let text = std::fs::read_to_string(image::root().join("Dockerfile")).expect("there is a Dockerfile");
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.fold(Vec::new(), |mut stage, line| {
        if line.starts_with("FROM ") {
            stage.clear();
        }
        stage.push(line.to_owned());
        stage
    })
}

fn arguments_of(instruction: &str) -> Vec<String> {
    let of = |line: &String| line.strip_prefix(instruction).and_then(|l| l.strip_prefix(' ')).map(str::to_owned);
    last_stage().iter().filter_map(of).collect()
}

#[test]
fn the_tar_holds_what_the_dockerfile_holds() {
    assert_eq!(last_stage()[0], "FROM scratch", "whatever else were there would be missing in the tar");
    let copies = arguments_of("COPY");
    let mut paths: Vec<_> = copies.iter().map(|c| c.split_whitespace().last().unwrap().to_owned()).collect();
    paths.sort();
    let image = image::lectern(Path::new("anywhere"));
    assert_eq!(image.paths(), paths);
    assert_eq!(arguments_of("USER"), [USER]);
    assert_eq!(arguments_of("ENV"), ["PATH=/usr/local/bin"]);
    assert_eq!(arguments_of("CMD"), [format!("[\"{}\"]", image.command.join("\", \""))]);
}

#[test]
fn both_are_built_with_the_same_features() {
    let text = std::fs::read_to_string(image::root().join("Dockerfile")).expect("there is a Dockerfile");
    assert!(text.contains(&format!("--features {}", image::NODE_FEATURES)), "{text}");
}

#[test]
fn the_same_files_are_the_same_image() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let source = folder.path().join("program");
    std::fs::write(&source, "bytes").unwrap();
    let file = ImageFile { path: "/bin/program".into(), source, mode: 0o755 };
    let image = Image { name: "localhost/a:b".into(), files: vec![file], command: vec!["program".into()] };
    let (one, two) = (folder.path().join("one.tar"), folder.path().join("two.tar"));
    image.write(&one).expect("is written");
    image.write(&two).expect("is written");
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());

    let layer = entries(&std::fs::read(&one).unwrap()).remove("layer.tar").expect("has one layer");
    let held = entries(&layer);
    assert_eq!(held.keys().collect::<Vec<_>>(), ["bin/program"]);
    assert_eq!(held["bin/program"], b"bytes");
}

fn entries(tar: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("is a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("is whole");
            assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("is whole");
            (entry.path().expect("has a path").to_string_lossy().into_owned(), bytes)
        })
        .collect()
}
