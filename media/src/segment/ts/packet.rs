//! The transport packet (ISO/IEC 13818-1, 2.4.3.2) and the adaptation field (2.4.3.4): the hot path. Bytes are copied
//! once, from where they lie into the segment.

/// Size of a transport packet.
pub const PACKET_BYTES: usize = 188;
const PAYLOAD_BYTES: usize = PACKET_BYTES - 4;
const SYNC_BYTE: u8 = 0x47;

/// The adaptation field of the first transport packet of a PES packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Adaptation {
    /// Program clock reference base, 33 bits of 90 kHz.
    pub pcr: Option<u64>,
    /// random_access_indicator.
    pub random_access: bool,
}

impl Adaptation {
    /// Length byte, flags and clock, without stuffing; no bytes if it has no content.
    fn bytes(self) -> ([u8; 8], usize) {
        let Some(pcr) = self.pcr else {
            return if self.random_access { ([1, 0x40, 0, 0, 0, 0, 0, 0], 2) } else { ([0; 8], 0) };
        };
        let flags = 0x10 | if self.random_access { 0x40 } else { 0 };
        // 33 bits of base, six reserved ones, an extension of 0.
        let clock = (pcr << 15 | 0x7e00).to_be_bytes();
        ([7, flags, clock[2], clock[3], clock[4], clock[5], clock[6], clock[7]], 8)
    }
}

/// Writes one PES packet of known size as transport packets.
pub(super) struct PesWriter<'a> {
    out: &'a mut Vec<u8>,
    counter: &'a mut u8,
    pid: u16,
    /// Bytes of the PES packet that are still to come.
    left: usize,
    /// Bytes that the open transport packet still takes.
    room: usize,
}

impl<'a> PesWriter<'a> {
    /// Opens the first transport packet of a PES packet of `size` bytes, header included; `size` is not zero.
    pub(super) fn new(
        out: &'a mut Vec<u8>,
        counter: &'a mut u8,
        pid: u16,
        adaptation: Adaptation,
        size: usize,
    ) -> Self {
        out.reserve(PACKET_BYTES * (size + 8).div_ceil(PAYLOAD_BYTES));
        let mut writer = Self { out, counter, pid, left: size, room: 0 };
        let (field, field_bytes) = adaptation.bytes();
        writer.open(true, &field[..field_bytes]);
        writer
    }

    /// Appends bytes of the PES packet. All calls together must bring exactly the announced size.
    #[inline]
    pub(super) fn write(&mut self, mut bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.left, "more bytes than announced");
        loop {
            let count = bytes.len().min(self.room);
            let (now, later) = bytes.split_at(count);
            self.out.extend_from_slice(now);
            self.room -= count;
            self.left -= count;
            if self.room > 0 || self.left == 0 {
                return;
            }
            self.open(false, &[]);
            bytes = later;
        }
    }

    /// Begins a transport packet; stuffs it if what is left does not fill it.
    #[inline]
    fn open(&mut self, first: bool, field: &[u8]) {
        let counter = *self.counter & 0x0f;
        *self.counter = (counter + 1) & 0x0f;
        let space = PAYLOAD_BYTES - field.len();
        let stuffing = space.saturating_sub(self.left);
        self.room = space - stuffing;
        let with_field = !field.is_empty() || stuffing > 0;
        self.out.extend_from_slice(&[
            SYNC_BYTE,
            (self.pid >> 8) as u8 | if first { 0x40 } else { 0 },
            self.pid as u8,
            counter | if with_field { 0x30 } else { 0x10 },
        ]);
        if with_field {
            self.adaptation_field(field, stuffing);
        }
    }

    fn adaptation_field(&mut self, field: &[u8], stuffing: usize) {
        let from = self.out.len();
        self.out.extend_from_slice(field);
        self.out.resize(from + field.len() + stuffing, 0xff);
        let length = (field.len() + stuffing - 1) as u8;
        if let Some(byte) = self.out.get_mut(from) {
            *byte = length;
        }
        if field.is_empty()
            && stuffing > 1
            && let Some(flags) = self.out.get_mut(from + 1)
        {
            *flags = 0;
        }
    }
}
