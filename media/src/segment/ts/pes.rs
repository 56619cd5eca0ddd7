//! PES packets (ISO/IEC 13818-1, 2.4.3.6): the header, an AVC access unit in Annex B form, a run of AAC frames.

use super::DELAY_TICKS;
use super::packet::{Adaptation, PesWriter};
use crate::codec::aac::{self, ADTS_HEADER_BYTES};
use crate::codec::avc::{self, nal};
use crate::time::{presentation_ticks_90k, ticks_90k};
use bytes::Bytes;

/// AAC frames in a PES packet. Six of 1,024 samples are 128 ms at 48 kHz: 1.5 % of overhead rather than 20 % with one
/// frame each, and well inside [`DELAY_TICKS`].
pub const AAC_FRAMES_PER_PES: usize = 6;

/// A frame this far from where its run of AAC frames puts it begins a new PES packet: only the first frame of one has
/// a time. Less than that is jitter of the encoder's clock, which players do better without.
const AAC_GAP_MS: u64 = 100;

const VIDEO_STREAM_ID: u8 = 0xe0;
const AUDIO_STREAM_ID: u8 = 0xc0;
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Access unit delimiter "any slice type" (ITU-T H.264, table 7-5) with its start code.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 9, 0xf0];

/// The frame cannot be carried and is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Where a PES packet goes.
pub(super) struct Sink<'a> {
    pub out: &'a mut Vec<u8>,
    pub counter: &'a mut u8,
    pub pid: u16,
}

/// A time stamp of five bytes behind its four-bit prefix (2.4.3.7).
fn stamp(prefix: u8, ticks: u64) -> [u8; 5] {
    [
        prefix << 4 | (ticks >> 29) as u8 & 0x0e | 1,
        (ticks >> 22) as u8,
        (ticks >> 14) as u8 | 1,
        (ticks >> 7) as u8,
        (ticks << 1) as u8 | 1,
    ]
}

/// A PES header of at most 19 bytes.
struct Header {
    bytes: [u8; 19],
    size: usize,
}

impl Header {
    /// `es_bytes` is the size of the payload; a packet too long for its length field gets 0, which is for video only.
    fn new(stream_id: u8, pts: u64, dts: Option<u64>, es_bytes: usize) -> Self {
        let stamps = if dts.is_some() { 10 } else { 5 };
        let length = u16::try_from(3 + stamps + es_bytes).unwrap_or(0).to_be_bytes();
        let flags = if dts.is_some() { 0xc0 } else { 0x80 };
        let mut bytes = [0; 19];
        let fixed = [0, 0, 1, stream_id, length[0], length[1], 0x80, flags, stamps as u8];
        bytes[..9].copy_from_slice(&fixed);
        bytes[9..14].copy_from_slice(&stamp(if dts.is_some() { 3 } else { 2 }, pts));
        bytes[14..].copy_from_slice(&stamp(1, dts.unwrap_or(0)));
        Self { bytes, size: 9 + stamps }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}

/// A video track: its configuration and the parameter sets in Annex B form.
#[derive(Clone, Debug)]
pub(super) struct Video {
    pub config: avc::Config,
    annex_b: Vec<u8>,
}

/// What the first look at an access unit finds.
struct Survey {
    bytes: usize,
    random_access: bool,
}

impl Video {
    pub(super) fn new(config: avc::Config) -> Self {
        let mut annex_b = Vec::new();
        for set in config.parameter_sets() {
            annex_b.extend_from_slice(&START_CODE);
            annex_b.extend_from_slice(set);
        }
        Self { config, annex_b }
    }

    /// Writes one access unit. `key` and `composition_ms` come from the FLV header before it.
    pub(super) fn write(
        &self,
        sink: Sink<'_>,
        t_ms: u64,
        composition_ms: i32,
        key: bool,
        access_unit: &[u8],
    ) -> Result<(), Malformed> {
        let survey = self.survey(access_unit, key)?;
        let dts = presentation_ticks_90k(t_ms, 0, DELAY_TICKS);
        let pts = presentation_ticks_90k(t_ms, composition_ms, DELAY_TICKS);
        let header = Header::new(VIDEO_STREAM_ID, pts, (pts != dts).then_some(dts), survey.bytes);
        let adaptation = Adaptation { pcr: Some(ticks_90k(t_ms)), random_access: survey.random_access };
        let mut pes = PesWriter::new(sink.out, sink.counter, sink.pid, adaptation, header.size + survey.bytes);
        pes.write(header.as_slice());
        pes.write(&DELIMITER);
        if survey.random_access {
            pes.write(&self.annex_b);
        }
        for unit in self.carried(access_unit, survey.random_access).flatten() {
            pes.write(&START_CODE);
            pes.write(unit);
        }
        Ok(())
    }

    /// Checks the access unit whole, before a byte of it is written.
    fn survey(&self, access_unit: &[u8], key: bool) -> Result<Survey, Malformed> {
        let mut random_access = key;
        for unit in nal::units(access_unit, self.config.nal_length_size) {
            random_access |= nal::unit_type(unit.map_err(|_| Malformed)?) == nal::IDR;
        }
        let units: usize =
            self.carried(access_unit, random_access).flatten().map(|unit| START_CODE.len() + unit.len()).sum();
        if units == 0 {
            return Err(Malformed);
        }
        let sets = if random_access { self.annex_b.len() } else { 0 };
        Ok(Survey { bytes: DELIMITER.len() + sets + units, random_access })
    }

    /// The NAL units that go out: not the encoder's delimiters, and not parameter sets that were just written.
    fn carried<'b>(
        &'b self,
        access_unit: &'b [u8],
        random_access: bool,
    ) -> impl Iterator<Item = Result<&'b [u8], nal::Cut>> {
        nal::units(access_unit, self.config.nal_length_size).filter(move |unit| {
            let Ok(unit) = unit else { return true };
            match nal::unit_type(unit) {
                nal::AUD => false,
                nal::SPS | nal::SPS_EXT | nal::PPS if random_access => {
                    !self.config.parameter_sets().any(|set| set == unit)
                }
                _ => true,
            }
        })
    }
}

/// An audio track and the AAC frames that wait for their PES packet.
#[derive(Clone, Debug)]
pub(super) struct Audio {
    pub config: aac::Config,
    /// The PCR is here: there is no video.
    clock: bool,
    first_ms: u64,
    waiting: Vec<Bytes>,
}

impl Audio {
    pub(super) fn new(config: aac::Config, clock: bool) -> Self {
        Self { config, clock, first_ms: 0, waiting: Vec::with_capacity(AAC_FRAMES_PER_PES) }
    }

    /// Takes a frame; writes a PES packet when it is full, or before a frame that does not continue it.
    pub(super) fn push(&mut self, sink: Sink<'_>, t_ms: u64, frame: Bytes) -> Result<(), Malformed> {
        if frame.is_empty() || frame.len() > aac::MAX_ADTS_PAYLOAD_BYTES {
            return Err(Malformed);
        }
        if !self.waiting.is_empty() && t_ms.abs_diff(self.expected_ms()) > AAC_GAP_MS {
            self.flush(Sink { out: &mut *sink.out, counter: &mut *sink.counter, pid: sink.pid });
        }
        if self.waiting.is_empty() {
            self.first_ms = t_ms;
        }
        self.waiting.push(frame);
        if self.waiting.len() == AAC_FRAMES_PER_PES {
            self.flush(sink);
        }
        Ok(())
    }

    /// Where the next frame of the run belongs.
    fn expected_ms(&self) -> u64 {
        let samples = self.waiting.len() as u64 * u64::from(aac::SAMPLES_PER_FRAME);
        self.first_ms.saturating_add(samples * 1000 / u64::from(self.config.sample_rate.max(1)))
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, sink: Sink<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        let es_bytes = self.waiting.iter().map(|frame| ADTS_HEADER_BYTES + frame.len()).sum();
        let pts = presentation_ticks_90k(self.first_ms, 0, DELAY_TICKS);
        let header = Header::new(AUDIO_STREAM_ID, pts, None, es_bytes);
        let adaptation = Adaptation { pcr: self.clock.then(|| ticks_90k(self.first_ms)), random_access: false };
        let mut pes = PesWriter::new(sink.out, sink.counter, sink.pid, adaptation, header.size + es_bytes);
        pes.write(header.as_slice());
        for frame in &self.waiting {
            pes.write(&self.config.adts.for_payload(frame.len()));
            pes.write(frame);
        }
        self.waiting.clear();
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
