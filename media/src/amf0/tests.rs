//! One table of values and bytes for reader and writer, and what the reader refuses.

use super::*;
use proptest::prelude::*;

fn cases() -> Vec<(&'static str, Value, Vec<u8>)> {
    let object = vec![("a".to_owned(), Value::Null), ("b".to_owned(), Value::Boolean(true))];
    let pairs = b"\0\x01a\x05\0\x01b\x01\x01\0\0\x09";
    let with = |head: &[u8]| [head, pairs].concat();
    let long = "x".repeat(70_000);
    vec![
        ("number", Value::Number(1.0), b"\0\x3f\xf0\0\0\0\0\0\0".to_vec()),
        ("boolean", Value::Boolean(true), b"\x01\x01".to_vec()),
        ("string", Value::from("hall-a"), b"\x02\0\x06hall-a".to_vec()),
        ("empty string", Value::from(""), b"\x02\0\0".to_vec()),
        ("object", Value::Object(object.clone()), with(b"\x03")),
        ("empty object", Value::Object(vec![]), b"\x03\0\0\x09".to_vec()),
        ("null", Value::Null, b"\x05".to_vec()),
        ("undefined", Value::Undefined, b"\x06".to_vec()),
        ("reference", Value::Reference(258), b"\x07\x01\x02".to_vec()),
        ("ECMA array", Value::EcmaArray(object.clone()), with(b"\x08\0\0\0\x02")),
        ("strict array", Value::StrictArray(vec![Value::Null, Value::Undefined]), b"\x0a\0\0\0\x02\x05\x06".to_vec()),
        ("date", Value::Date { unix_ms: 1.0, zone: -60 }, b"\x0b\x3f\xf0\0\0\0\0\0\0\xff\xc4".to_vec()),
        ("long string", Value::String(long.clone()), [b"\x0c\0\x01\x11\x70", long.as_bytes()].concat()),
        ("unsupported", Value::Unsupported, b"\x0d".to_vec()),
        ("XML", Value::Xml("<a/>".into()), b"\x0f\0\0\0\x04<a/>".to_vec()),
        ("typed object", Value::TypedObject { class: "C".into(), properties: object }, with(b"\x10\0\x01C")),
    ]
}

#[test]
fn every_kind_of_value_is_read_and_written() {
    let limits = Limits { bytes: 128 * 1024, ..Limits::CONTROL };
    for (name, value, bytes) in cases() {
        assert_eq!(write_all(std::slice::from_ref(&value)), bytes, "{name} written");
        assert_eq!(read_all(&bytes, limits), Ok(vec![value]), "{name} read");
    }
}

#[test]
fn every_cut_is_an_error_and_never_a_panic() {
    let limits = Limits { bytes: 128 * 1024, ..Limits::CONTROL };
    for (name, _, bytes) in cases() {
        for length in 1..bytes.len().min(64) {
            let read = read_all(&bytes[..length], limits);
            // An object without its end is taken as it is when it ends after a whole property.
            let whole_properties = matches!(&read, Ok(values) if values[0].properties().is_some());
            assert!(whole_properties || matches!(read, Err(Error::Short(_))), "{length} bytes of {name}: {read:?}");
        }
    }
}

#[test]
fn depth_values_and_bytes_are_bounded() {
    // Notes of the first fuzzing: 10,000 levels in 50 KB ended a process that used a reader without a limit.
    let bomb = b"\x0a\0\0\0\x01".repeat(10_000);
    assert_eq!(read_all(&bomb, Limits::CONTROL), Err(Error::Depth { limit: 16, position: 17 * 5 }));
    let objects = b"\x03\0\x01a".repeat(10_000);
    assert!(matches!(read_all(&objects, Limits::CONTROL), Err(Error::Depth { limit: 16, .. })));
    let many = vec![5; 65];
    assert_eq!(read_all(&many, Limits::CONTROL), Err(Error::Values { limit: 64, position: 64 }));
    assert!(read_all(&many[..64], Limits::CONTROL).is_ok());
    let counted = b"\x0a\xff\xff\xff\xff\x05";
    assert!(matches!(read_all(counted, Limits::CONTROL), Err(Error::Short(_))), "the count allocates nothing");
    let long = vec![5; 64 * 1024 + 1];
    assert_eq!(read_all(&long, Limits::CONTROL), Err(Error::Bytes { length: 65_537, limit: 65_536 }));
}

#[test]
fn sixteen_levels_are_read() {
    let mut bytes = b"\x0a\0\0\0\x01".repeat(16);
    bytes.push(5);
    assert!(read_all(&bytes, Limits::CONTROL).is_ok());
}

#[test]
fn reserved_markers_and_amf3_are_refused_by_name() {
    for marker in [0x04, 0x09, 0x0e, 0x11, 0x12, 0xff] {
        assert_eq!(read_all(&[5, marker], Limits::CONTROL), Err(Error::Marker { marker, position: 1 }));
    }
}

#[test]
fn a_wrong_ecma_count_does_no_harm() {
    for count in [0_u8, 1, 200] {
        let bytes = [&[8, 0, 0, 0, count][..], b"\0\x01a\x05\0\x01b\x05\0\0\x09\x06"].concat();
        let values = read_all(&bytes, Limits::CONTROL).expect("reads");
        assert_eq!(values[0].properties().map(<[_]>::len), Some(2));
        assert_eq!(values[1], Value::Undefined);
    }
}

#[test]
fn a_property_that_was_sent_twice_has_its_last_value() {
    let value = Value::Object(vec![("a".into(), Value::from(1.0)), ("a".into(), Value::from(2.0))]);
    assert_eq!(value.get("a").and_then(Value::as_number), Some(2.0));
    assert_eq!(value.get("b"), None);
}

#[test]
fn an_empty_property_name_is_a_name_unless_the_end_follows() {
    let bytes = b"\x03\0\0\x05\0\0\x09";
    assert_eq!(read_all(bytes, Limits::CONTROL), Ok(vec![Value::Object(vec![(String::new(), Value::Null)])]));
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_do_not_fail() {
    assert_eq!(read_all(b"\x02\0\x02\xff\xfe", Limits::CONTROL), Ok(vec![Value::from("\u{fffd}\u{fffd}")]));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (-1e12_f64..1e12).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        "[a-zé]{0,12}".prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
        any::<u16>().prop_map(Value::Reference),
        ((0.0..2e12_f64), any::<i16>()).prop_map(|(unix_ms, zone)| Value::Date { unix_ms, zone }),
        "[a-z<>]{0,12}".prop_map(Value::Xml),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let pairs = prop::collection::vec(("[a-z]{1,6}", inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::StrictArray),
            pairs.clone().prop_map(Value::Object),
            pairs.clone().prop_map(Value::EcmaArray),
            ("[A-Z]{1,4}", pairs).prop_map(|(class, properties)| Value::TypedObject { class, properties }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(values in prop::collection::vec(any_value(), 0..4)) {
        let limits = Limits { values: 1_000, ..Limits::CONTROL };
        prop_assert_eq!(read_all(&write_all(&values), limits), Ok(values));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(values) = read_all(&bytes, Limits::CONTROL) {
            let again = write_all(&values);
            let limits = Limits { bytes: usize::MAX, ..Limits::CONTROL };
            prop_assert!(read_all(&again, limits).is_ok());
        }
    }
}
