//! `crds/liveevents.yaml` is what the code says. `UPDATE=1` rewrites it.

#[test]
fn the_crd_on_disk_is_the_one_in_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/liveevents.yaml");
    lectern_golden::check(path, &lectern::crd::text().unwrap());
}
