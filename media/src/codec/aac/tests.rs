//! Configurations as encoders write them, and ones that MPEG-TS cannot carry.

use super::{ADTS_HEADER_BYTES, Config, ConfigError, MAX_ADTS_PAYLOAD_BYTES};

#[test]
fn configurations_that_encoders_write() {
    // object type, core rate, rate that is heard, channels; codec
    type Row = (&'static str, &'static [u8], (u8, u32, u32, u8), &'static str);
    let table: &[Row] = &[
        ("LC, 44.1 kHz, stereo", &[0x12, 0x10], (2, 44_100, 44_100, 2), "mp4a.40.2"),
        ("LC, 48 kHz, mono", &[0x11, 0x88], (2, 48_000, 48_000, 1), "mp4a.40.2"),
        ("ffmpeg 5.1, with an empty extension", &[0x11, 0xb0, 0x56, 0xe5, 0], (2, 48_000, 48_000, 6), "mp4a.40.2"),
        ("ffmpeg 7.1", &[0x11, 0xb8, 0x56, 0xe5, 0], (2, 48_000, 48_000, 8), "mp4a.40.2"),
        ("HE, explicit", &[0x2b, 0x11, 0x88, 0], (2, 24_000, 48_000, 2), "mp4a.40.5"),
        ("HE v2, explicit", &[0xeb, 0x09, 0x88, 0], (2, 24_000, 48_000, 2), "mp4a.40.29"),
        ("HE, behind the core", &[0x13, 0x08, 0x56, 0xe5, 0x98], (2, 24_000, 48_000, 1), "mp4a.40.5"),
        ("HE v2, behind", &[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80], (2, 24_000, 48_000, 2), "mp4a.40.29"),
        ("rate spelt out", &[0x17, 0x80, 0x56, 0x22, 0x10], (2, 44_100, 44_100, 2), "mp4a.40.2"),
        ("Main", &[0x0a, 0x10], (1, 44_100, 44_100, 2), "mp4a.40.1"),
        ("LTP", &[0x22, 0x10], (4, 44_100, 44_100, 2), "mp4a.40.4"),
    ];
    for (case, bytes, facts, codec) in table {
        let config = Config::parse(bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
        let found = (config.object_type, config.sample_rate, config.output_rate, config.channels);
        assert_eq!((found, config.codec_string.as_str()), (*facts, *codec), "{case}");
    }
}

#[test]
fn what_cannot_be_carried_is_refused_with_its_value() {
    let short = |bytes, reading| ConfigError::Short { bytes, reading };
    let table: &[(&[u8], ConfigError)] = &[
        (&[], short(0, "object type")),
        (&[0x12], short(1, "sampling frequency")),
        (&[0x17, 0x80, 0x56], short(3, "sampling frequency")),
        (&[0x2b, 0x11], short(2, "extension sampling frequency")),
        (&[0x2b, 0x11, 0x88], short(3, "GASpecificConfig")),
        (&[0xf9, 0x46, 0x10, 0], ConfigError::ObjectType { object_type: 42 }),
        (&[0x00, 0x10], ConfigError::ObjectType { object_type: 0 }),
        (&[0xba, 0x10], ConfigError::ObjectType { object_type: 23 }),
        (&[0x12, 0x00], ConfigError::Channels { channel_configuration: 0 }),
        (&[0x12, 0x60], ConfigError::Channels { channel_configuration: 12 }),
        (&[0x12, 0x14], ConfigError::FrameLength),
        (&[0x16, 0x90], ConfigError::SampleRate { hertz: 0 }),
        (&[0x17, 0x80, 0x57, 0xe4, 0x10], ConfigError::SampleRate { hertz: 45_000 }),
        (&[0x12; 65], ConfigError::TooLarge { bytes: 65 }),
    ];
    for (bytes, error) in table {
        assert_eq!(Config::parse(bytes).as_ref(), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn any_two_or_three_bytes_are_read_or_refused() {
    for value in 0..=0xffff_u16 {
        let [a, b] = value.to_be_bytes();
        for bytes in [&[a, b][..], &[a, b, 0xff], &[a, b, 0x56, 0xe5, 0x9d, 0x48, 0x80]] {
            if let Ok(config) = Config::parse(bytes) {
                assert!(config.sample_rate >= 7_350 && (1..=8).contains(&config.channels));
            }
        }
    }
}

#[test]
fn the_adts_header_says_what_the_configuration_says() {
    let config = Config::parse(&[0x11, 0xb0]).unwrap(); // LC, 48 kHz (index 3), configuration 6
    for size in [0, 1, 200, 2041, MAX_ADTS_PAYLOAD_BYTES] {
        let header = config.adts.for_payload(size);
        let value = header.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let field = |from: u32, count: u32| value >> (56 - from - count) & ((1 << count) - 1);
        assert_eq!(field(0, 12), 0xfff, "syncword");
        assert_eq!((field(12, 1), field(13, 2), field(15, 1)), (0, 0, 1), "MPEG-4, layer, no checksum");
        assert_eq!((field(16, 2), field(18, 4), field(23, 3)), (1, 3, 6), "profile, rate, channels");
        assert_eq!(field(30, 13), (size + ADTS_HEADER_BYTES) as u64, "length with the header");
        assert_eq!((field(43, 11), field(54, 2)), (0x7ff, 0), "buffer fullness, blocks");
    }
}
