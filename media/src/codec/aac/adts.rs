//! The ADTS header (ISO/IEC 14496-3, 1.A.2.2): seven bytes before every AAC frame in MPEG-TS.

/// Size of the header; no checksum follows it.
pub const ADTS_HEADER_BYTES: usize = 7;

/// Largest AAC frame that fits the 13-bit frame length, header not counted, in bytes.
pub const MAX_ADTS_PAYLOAD_BYTES: usize = 0x1fff - ADTS_HEADER_BYTES;

/// The header of a track, but for the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader([u8; ADTS_HEADER_BYTES]);

impl AdtsHeader {
    /// Object type 1 to 4, index of the sampling frequency, channel configuration 1 to 7.
    pub(super) fn new(object_type: u8, frequency_index: u8, channel_configuration: u8) -> Self {
        Self([
            0xff,
            0xf1, // MPEG-4, layer 0, no checksum
            (object_type - 1) << 6 | frequency_index << 2 | channel_configuration >> 2,
            (channel_configuration & 3) << 6,
            0,
            0x1f, // buffer fullness 0x7ff: variable rate
            0xfc, // one raw data block
        ])
    }

    /// The header of a frame of `payload_bytes`, at most [`MAX_ADTS_PAYLOAD_BYTES`].
    #[must_use]
    pub fn for_payload(self, payload_bytes: usize) -> [u8; ADTS_HEADER_BYTES] {
        let length = payload_bytes + ADTS_HEADER_BYTES;
        let mut header = self.0;
        header[3] |= (length >> 11) as u8 & 3;
        header[4] = (length >> 3) as u8;
        header[5] |= (length << 5) as u8;
        header
    }
}
