//! AMF0: any bytes are read or refused; what was read is written, and read again as the same.

use lectern_media::amf0::{Limits, read_all, write_all};

/// Reads `data` within the limits for commands and for metadata.
pub fn round_trip(data: &[u8]) {
    for limits in [Limits::CONTROL, Limits::METADATA] {
        let Ok(values) = read_all(data, limits) else { continue };
        let written = write_all(&values);
        // Text that is no UTF-8 grows when it is replaced, and a missing object end is added.
        let again = read_all(&written, Limits { bytes: usize::MAX, ..limits }).expect("what was written is read");
        // Compared as bytes: a number that is none is not equal to itself.
        assert_eq!(write_all(&again), written);
    }
}
