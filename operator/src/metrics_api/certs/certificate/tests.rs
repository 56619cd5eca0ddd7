//! Certificates over the years.
#![allow(clippy::unwrap_used, reason = "a test that cannot make a certificate must fail")]

use super::*;

const HOST: &str = "lectern-metrics.lectern-system.svc";

fn day(day: i64) -> Timestamp {
    let start: Timestamp = "2026-12-01T09:00:00Z".parse().unwrap();
    start + SignedDuration::from_hours(24 * day)
}

#[test]
fn a_certificate_is_renewed_under_its_authority_before_it_ends() {
    let first = Material::new(HOST, day(0), None).unwrap();
    for (after, due) in [(0, Due::Nothing), (59, Due::Nothing), (61, Due::Certificate), (89, Due::Certificate)] {
        assert_eq!(first.due(HOST, day(after)).unwrap(), due, "day {after}");
    }
    let second = first.renewed(HOST, day(61)).unwrap();
    assert_eq!(second.authorities, first.authorities, "no client has to trust another authority");
    assert_ne!(second.key, first.key);
    assert_eq!(second.due(HOST, day(61)).unwrap(), Due::Nothing);
    assert_eq!(second.due(HOST, day(130)).unwrap(), Due::Certificate);
    assert!(first.due(HOST, day(91)).is_err(), "it has ended");
}

#[test]
fn a_new_authority_is_trusted_beside_the_old_one() {
    let first = Material::new(HOST, day(0), None).unwrap();
    let late = first.renewed(HOST, day(2_500)).unwrap();
    assert_eq!(late.due(HOST, day(2_500)).unwrap(), Due::Authority);
    let second = Material::new(HOST, day(2_500), Some(&late)).unwrap();
    assert_eq!(second.due(HOST, day(2_500)).unwrap(), Due::Nothing);
    assert_eq!(pems(&second.authorities).count(), 2);
    // A replica that still serves the old certificate is trusted under the new authorities.
    let mixed = Material { authorities: second.authorities.clone(), ..late };
    mixed.verify(&mixed.certified_key().unwrap(), HOST, day(2_500)).unwrap();
    let fourth = (0..3).fold(second, |old, _| Material::new(HOST, day(2_600), Some(&old)).unwrap());
    assert_eq!(pems(&fourth.authorities).count(), OLD_AUTHORITIES_MAX + 1, "the list does not grow for ever");
}

#[test]
fn what_cannot_serve_is_told_apart_from_what_is_due() {
    let good = Material::new(HOST, day(0), None).unwrap();
    let other = Material::new(HOST, day(0), None).unwrap();
    let broken = [
        ("another name", good.clone(), "metrics.elsewhere.svc"),
        ("another key", Material { key: other.key.clone(), ..good.clone() }, HOST),
        ("another authority", Material { authorities: other.authorities.clone(), ..good.clone() }, HOST),
        ("no certificate", Material { certificate: String::new(), ..good.clone() }, HOST),
        ("no PEM", Material { key: "secret".into(), ..good.clone() }, HOST),
    ];
    for (what, material, host) in broken {
        assert!(material.due(host, day(1)).is_err(), "{what}");
    }
    assert!(good.due(HOST, day(-3)).is_err(), "not yet good");
    let foreign = Material { authority_key: None, ..good };
    assert_eq!(foreign.due(HOST, day(80)).unwrap(), Due::Authority, "it cannot be renewed under its authority");
    assert!(foreign.renewed(HOST, day(80)).is_err());
}

#[test]
fn secrets_are_not_printed() {
    let material = Material::new(HOST, day(0), None).unwrap();
    assert_eq!(format!("{material:?}"), "Material { .. }");
}
