//! `crds/liveevents.yaml` is what the code says. `UPDATE=1` rewrites it.

#[test]
fn the_crd_on_disk_is_the_one_in_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/liveevents.yaml");
    let text = lectern::crd::text().unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let on_disk = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        on_disk == text,
        "crds/liveevents.yaml is out of date: UPDATE=1 cargo test -p lectern --test crds_are_current"
    );
}
