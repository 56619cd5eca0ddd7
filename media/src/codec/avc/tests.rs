//! Configurations of real encoders (x264 through ffmpeg 5.1, made for this table) and broken ones.

use super::{Config, ConfigError, MAX_CONFIG_BYTES, Sps, SpsError, nal};
use bytes::Bytes;

fn hex(text: &str) -> Bytes {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const HIGH_1080P: &str =
    "01640028ffe1001b67640028acd940780227e5c044000003000400000300f03c60c65801000668ebe3cb22c0fdf8f800";

/// What the encoder was told to make: case, record, size, frame rate, codec string.
type Row = (&'static str, &'static str, (u32, u32), u32, &'static str);

const ENCODERS: &[Row] = &[
    ("high, cropped", HIGH_1080P, (1920, 1080), 30_000, "avc1.640028"),
    (
        "baseline",
        "0142c01effe100196742c01ed900a02ff97011000003000100000300320f162e4801000568cb83cb20",
        (640, 360),
        25_000,
        "avc1.42c01e",
    ),
    (
        "interlaced",
        "0164001effe100186764001eacd940b424d8088000000300800000190f8a14cb01000668fba3cb22c0fdf8f800",
        (720, 576),
        25_000,
        "avc1.64001e",
    ),
    (
        "interlaced, cropped",
        "01640028ffe1001a67640028acd94078044fde0220000003002000000643e2c5b2c001000668fba3cb22c0fdf8f800",
        (1920, 1080),
        25_000,
        "avc1.640028",
    ),
    (
        "4:2:2, cropped",
        "017a0020ffe1001a677a0020bcd9405005beaf0110000003001000000640f183196001000668ebe3cb22c0fef8f800",
        (1278, 718),
        50_000,
        "avc1.7a0020",
    ),
    (
        "4:4:4, odd size, 59.94",
        "01f40020ffe1001d67f40020919b280a00b7c95ff8620861f0800001f48000ea60078c18cb01000668ebe3c44844fff8f800",
        (1277, 719),
        59_940,
        "avc1.f40020",
    ),
    (
        "ten bits, 23.976",
        "016e001effe10019676e001ea6cd940d83de6f011000003e90000bb800f162d96001000668ebe3cb22c0fdfafa00",
        (854, 480),
        23_976,
        "avc1.6e001e",
    ),
    (
        "4K, level 5.2",
        "0142c034ffe100196742c034da00f0010fb011000003000100000300780f1832a001000468ce0fc8",
        (3840, 2160),
        60_000,
        "avc1.42c034",
    ),
    (
        "extended aspect ratio, colours",
        "0164001effe1001b6764001eacd940b43db056a0c0c0c800001f480007530078b16cb001000668ebe3cb22c0fdf8f800",
        (720, 480),
        29_970,
        "avc1.64001e",
    ),
    (
        "monochrome",
        "0164000cffe100196764000cf3650507ec05b2000003000200000300281e28532c01000668ebe3cb22c0fcf8f800",
        (320, 240),
        10_000,
        "avc1.64000c",
    ),
];

#[test]
fn configurations_of_an_encoder() {
    for &(case, record, size, frame_rate_milli, codec) in ENCODERS {
        let config = Config::parse(&hex(record)).unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert_eq!((config.width, config.height), size, "{case}");
        assert_eq!(config.info.frame_rate_milli, Some(frame_rate_milli), "{case}");
        assert_eq!(config.codec_string, codec, "{case}");
        assert_eq!((config.sps.len(), config.pps.len(), config.nal_length_size), (1, 1, 4), "{case}");
    }
}

#[test]
fn parameter_sets_come_in_the_order_of_decoding() {
    let mut record = hex(HIGH_1080P).to_vec();
    *record.last_mut().unwrap() = 1;
    record.extend_from_slice(&[0, 3, 0x6d, 1, 2]);
    let config = Config::parse(&record.into()).unwrap();
    let kinds: Vec<_> = config.parameter_sets().map(|set| nal::unit_type(set)).collect();
    assert_eq!(kinds, [nal::SPS, nal::SPS_EXT, nal::PPS]);
    assert_eq!(config.sps_ext, [&[0x6d, 1, 2][..]]);
}

/// Baseline, 640x360 and, by another encoder, 3840x2160: each one SPS and one PPS, both with the number 0.
const SMALL: &str = "0142c01effe100196742c01ed900a02ff97011000003000100000300320f162e4801000568cb83cb20";
const LARGE: &str = "0142c034ffe100196742c034da00f0010fb011000003000100000300780f1832a001000468ce0fc8";

fn config(record: &str) -> Config {
    Config::parse(&hex(record)).unwrap()
}

/// An access unit of these NAL units and a slice, each behind a length of four bytes.
fn access_unit(units: &[&[u8]]) -> Vec<u8> {
    let with_length = |unit: &&[u8]| [&u32::try_from(unit.len()).unwrap().to_be_bytes()[..], unit].concat();
    units.iter().chain(&[&[0x65, 1, 2, 3][..]]).flat_map(with_length).collect()
}

#[test]
fn a_record_is_written_as_encoders_write_it() {
    for (case, record, ..) in ENCODERS {
        let config = config(record);
        let written = config.record().unwrap();
        assert_eq!(Config::parse(&written).unwrap(), config, "{case}");
        // 4:4:4 (244) has an extension in x264's records, and none in the standard.
        let wanted = hex(record);
        assert_eq!(written, wanted.slice(..written.len()), "{case}");
        assert!(written.len() == wanted.len() || wanted[1] == 244, "{case}");
    }
}

#[test]
fn records_that_differ_in_bytes_without_meaning_mean_the_same() {
    let plain = config(SMALL);
    let bytes = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut record = hex(SMALL).to_vec();
        change(&mut record);
        Config::parse(&record.into()).unwrap()
    };
    for (case, other) in [
        ("profile, compatibility and level of the record", bytes(&|record| record[1..4].fill(0))),
        ("reserved bits", bytes(&|record| (record[4], record[5]) = (3, 1))),
        ("a byte behind the record", bytes(&|record| record.push(0xaa))),
        (
            "a zero behind the picture parameter set",
            bytes(&|record| {
                let length = record.len() - 6;
                record[length] += 1;
                record.push(0);
            }),
        ),
    ] {
        assert!(plain.means_the_same(&other), "{case}");
        assert_eq!(other.codec_string, "avc1.42c01e", "{case}");
    }
    assert!(!plain.means_the_same(&config(LARGE)));
    assert!(!plain.means_the_same(&bytes(&|record| record[4] = 0xfd)), "lengths of two bytes");
}

#[test]
fn parameter_sets_in_an_access_unit_take_the_place_of_those_with_their_number() {
    let (small, large) = (config(SMALL), config(LARGE));
    assert_eq!(small.changed_by(&access_unit(&[])), None, "none");
    assert_eq!(small.changed_by(&access_unit(&[&small.sps[0], &small.pps[0]])), None, "the same");
    let padded = [&small.sps[0][..], &[0, 0]].concat();
    assert_eq!(small.changed_by(&access_unit(&[&padded])), None, "the same, with zeros of a byte stream behind it");

    let changed = small.changed_by(&access_unit(&[&large.sps[0], &large.pps[0]])).unwrap();
    assert_eq!(changed, large);
    assert_eq!((changed.width, changed.codec_string.as_str()), (3840, "avc1.42c034"));
    let changed = small.changed_by(&access_unit(&[&large.sps[0]])).unwrap();
    assert_eq!((changed.sps, changed.pps), (large.sps.clone(), small.pps.clone()), "the picture parameter set stays");

    // seq_parameter_set_id 1 and pic_parameter_set_id 1 in place of 0: 1… becomes 010….
    let other_sps: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0x56, 0x80, 0xa0, 0x2f, 0xf9, 0x70];
    let other_pps: &[u8] = &[0x68, 0x49, 0x70, 0x79, 0x64];
    let added = small.changed_by(&access_unit(&[other_sps, other_pps])).unwrap();
    assert_eq!((added.sps.len(), added.pps.len()), (2, 2), "another number takes no place");
    assert_eq!((&added.sps[0][..], &added.pps[0][..]), (other_sps, other_pps), "those of the access unit come first");
    assert_eq!(added.changed_by(&access_unit(&[&small.sps[0], &small.pps[0]])), None, "which are still in force");

    assert_eq!(small.changed_by(&access_unit(&[&[0x67, 0x42]])), None, "one that cannot be read changes nothing");
    let mut cut = access_unit(&[&large.sps[0]]);
    cut.pop();
    assert_eq!(small.changed_by(&cut), None, "an access unit that is cut off changes nothing");
}

#[test]
fn every_cut_of_a_configuration_is_refused_or_the_same_without_its_tail() {
    let whole = hex(HIGH_1080P);
    let tail = whole.len() - 4; // the extension of High profiles may be missing
    for end in 0..whole.len() {
        match Config::parse(&whole.slice(..end)) {
            Ok(config) => {
                assert!(end >= tail, "cut at {end}");
                assert_eq!(config, Config::parse(&whole).unwrap());
            }
            Err(error) => {
                assert!(end < tail, "cut at {end}");
                assert!(matches!(error, ConfigError::Short { .. }), "cut at {end}: {error:?}");
            }
        }
    }
}

#[test]
fn any_single_changed_byte_is_read_or_refused() {
    let whole = hex(HIGH_1080P);
    for place in 0..whole.len() {
        for value in 0..=255 {
            let mut record = whole.to_vec();
            record[place] = value;
            if let Ok(config) = Config::parse(&record.into()) {
                assert!(config.width > 0 && config.height > 0 && !config.pps.is_empty());
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let changed = |place: usize, value: u8| {
        let mut record = hex(HIGH_1080P).to_vec();
        record[place] = value;
        Config::parse(&record.into()).unwrap_err()
    };
    assert_eq!(changed(0, 0), ConfigError::Version { version: 0 });
    assert_eq!(changed(4, 0xfe), ConfigError::LengthSize);
    assert_eq!(changed(8, 0x68), ConfigError::NalType { wanted: nal::SPS, found: nal::PPS });
    let no_pps = hex("01640028ffe1001b67640028acd940780227e5c044000003000400000300f03c60c65800");
    assert_eq!(Config::parse(&no_pps).unwrap_err(), ConfigError::Missing { what: "PPS" });
    let no_sps = hex("01640028ffe001000668ebe3cb22c0");
    assert_eq!(Config::parse(&no_sps).unwrap_err(), ConfigError::Missing { what: "SPS" });
    let bytes = MAX_CONFIG_BYTES + 1;
    assert_eq!(Config::parse(&vec![1; bytes].into()).unwrap_err(), ConfigError::TooLarge { bytes });
}

/// Writes bits, for parameter sets that no encoder at hand makes.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn bits(mut self, count: u32, value: u32) -> Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn ue(self, value: u32) -> Self {
        let length = (value + 1).ilog2();
        self.bits(length, 0).bits(length + 1, value + 1)
    }

    fn se(self, value: i32) -> Self {
        let code = if value > 0 { value * 2 - 1 } else { -value * 2 };
        self.ue(code as u32)
    }

    fn sps(self) -> Result<Sps, SpsError> {
        let end = self.bits(1, 1);
        let bytes: Vec<u8> = end
            .0
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (place, bit)| byte | u8::from(*bit) << (7 - place)))
            .collect();
        Sps::parse(&bytes)
    }
}

/// Up to seq_parameter_set_id.
fn head(profile: u32) -> Bits {
    Bits::default().bits(8, 0x67).bits(8, profile).bits(8, 0).bits(8, 31).ue(0)
}

/// From max_num_ref_frames to the end, 320x240 with frame_mbs_only and no VUI.
fn tail(bits: Bits) -> Bits {
    bits.ue(1).bits(1, 0).ue(19).ue(14).bits(1, 1).bits(1, 1).bits(1, 0).bits(1, 0)
}

#[test]
fn scaling_lists_and_picture_order_type_1_are_skipped() {
    let mut bits = head(100).ue(1).ue(0).ue(0).bits(1, 0).bits(1, 1);
    bits = bits.bits(1, 1); // list 0: sixteen deltas
    for _ in 0..16 {
        bits = bits.se(1);
    }
    bits = bits.bits(1, 1).se(-8); // list 1: the default
    bits = bits.bits(4, 0).bits(1, 1).se(3).se(-11).bits(1, 0); // list 6: ends after one value
    bits = bits.ue(0).ue(1).bits(1, 0).se(-5).se(7).ue(3).se(1).se(-1).se(0);
    let sps = tail(bits).sps().unwrap();
    assert_eq!((sps.width, sps.height, sps.frame_rate_milli), (320, 240, None));
}

#[test]
fn values_out_of_range_are_named() {
    let range = |field, value| Err(SpsError::Range { field, value });
    assert_eq!(head(100).ue(4).ue(0).ue(0).bits(2, 0).sps(), range("chroma_format_idc", 4));
    assert_eq!(head(66).ue(0).ue(3).ue(0).sps(), range("pic_order_cnt_type", 3));
    let cycle = head(66).ue(0).ue(1).bits(1, 0).se(0).se(0).ue(256);
    assert_eq!(cycle.sps(), range("num_ref_frames_in_pic_order_cnt_cycle", 256));
    let order = |bits: Bits| bits.ue(0).ue(2).ue(1).bits(1, 0);
    let cropped_away = order(head(66)).ue(0).ue(0).bits(2, 3).bits(1, 1).ue(4).ue(4).ue(0).ue(0).bits(1, 0);
    assert_eq!(cropped_away.sps(), Err(SpsError::Size { width: 0, height: 16 }));
    let huge = order(head(66)).ue(u32::MAX / 2 - 1).ue(0).bits(2, 3).bits(2, 0);
    assert_eq!(huge.sps(), Err(SpsError::Size { width: (1 << 31) * 16 - 16, height: 16 }));
    let no_ticks = order(head(66)).ue(19).ue(14).bits(2, 3).bits(1, 0).bits(1, 1).bits(4, 0).bits(1, 1).bits(32, 0);
    assert_eq!(no_ticks.bits(32, 50).sps().unwrap().frame_rate_milli, None);
}
