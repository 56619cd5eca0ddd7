//! An independent reader of what the muxer writes: every packet goes through `mpeg2ts`, and what that crate does not
//! check (continuity, stuffing, sizes) is checked here.

use lectern_media::segment::ts::{AUDIO_PID, Counters, PACKET_BYTES, PMT_PID, VIDEO_PID};
use mpeg2ts::es::StreamType;
use mpeg2ts::ts::payload::Pmt;
use mpeg2ts::ts::{ReadTsPacket, TsPacketReader, TsPayload};
use std::collections::BTreeMap;

/// One PES packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pes {
    pub pid: u16,
    pub pts: u64,
    pub dts: Option<u64>,
    pub pcr: Option<u64>,
    pub random_access: bool,
    /// As written; 0 is "until the next one".
    pub length: u16,
    pub data: Vec<u8>,
}

/// A segment, read.
#[derive(Debug, Default)]
pub struct Segment {
    /// Stream types of the PMT by PID.
    pub tracks: BTreeMap<u16, StreamType>,
    pub pcr_pid: Option<u16>,
    /// In order of their first packets.
    pub pes: Vec<Pes>,
    /// Counters after the last packet.
    pub counters: Counters,
}

impl Segment {
    pub fn of(&self, pid: u16) -> Vec<&Pes> {
        self.pes.iter().filter(|pes| pes.pid == pid).collect()
    }
}

/// Reads a segment that begins with these counters. Panics at the first deviation.
pub fn read(bytes: &[u8], before: Counters) -> Segment {
    assert_eq!(bytes.len() % PACKET_BYTES, 0, "whole packets");
    let mut segment = Segment { counters: before, ..Segment::default() };
    let mut reader = TsPacketReader::new(bytes);
    let mut position = 0;
    let mut pat_counter = before.psi;
    while let Some(packet) = reader.read_ts_packet().unwrap_or_else(|error| panic!("packet {position}: {error}")) {
        let raw = &bytes[position * PACKET_BYTES..][..PACKET_BYTES];
        check_adaptation_field(raw);
        let pid = packet.header.pid.as_u16();
        let counter = match pid {
            0 => &mut pat_counter,
            PMT_PID => &mut segment.counters.psi,
            VIDEO_PID => &mut segment.counters.video,
            AUDIO_PID => &mut segment.counters.audio,
            other => panic!("unknown PID {other}"),
        };
        assert_eq!(packet.header.continuity_counter.as_u8(), *counter & 15, "packet {position}, PID {pid}");
        *counter = (*counter + 1) & 15;
        match packet.payload.expect("every packet has a payload") {
            TsPayload::Pat(pat) => {
                assert_eq!(position, 0);
                assert_eq!(pat.table.len(), 1);
                assert_eq!(pat.table[0].program_map_pid.as_u16(), PMT_PID);
            }
            TsPayload::Pmt(pmt) => {
                assert_eq!(position, 1);
                read_pmt(&mut segment, &pmt);
            }
            TsPayload::PesStart(pes) => {
                let field = packet.adaptation_field.as_ref();
                let pcr = field.and_then(|field| field.pcr).map(|pcr| pcr.as_u64());
                assert!(pcr.is_none_or(|pcr| pcr % 300 == 0), "no PCR extension is written");
                segment.pes.push(Pes {
                    pid,
                    pts: pes.header.pts.expect("every PES packet has a PTS").as_u64(),
                    dts: pes.header.dts.map(|dts| dts.as_u64()),
                    pcr: pcr.map(|pcr| pcr / 300),
                    random_access: field.is_some_and(|field| field.random_access_indicator),
                    length: pes.pes_packet_len,
                    data: pes.data.to_vec(),
                });
            }
            TsPayload::PesContinuation(data) => {
                let open = segment.pes.last_mut().expect("a PES packet is open");
                assert_eq!(open.pid, pid, "PES packets are not interleaved");
                open.data.extend_from_slice(&data);
            }
            other => panic!("packet {position}: unexpected {other:?}"),
        }
        position += 1;
    }
    assert!(position >= 2, "PAT and PMT are there");
    for pes in &segment.pes {
        let header = if pes.dts.is_some() { 13 } else { 8 };
        let exact = header + pes.data.len();
        assert_eq!(usize::from(pes.length), if exact > 0xffff { 0 } else { exact });
        assert!(pes.pid == VIDEO_PID || pes.length != 0, "only video may leave its length out");
    }
    segment
}

fn read_pmt(segment: &mut Segment, pmt: &Pmt) {
    segment.pcr_pid = pmt.pcr_pid.map(|pid| pid.as_u16());
    segment.tracks = pmt.es_info.iter().map(|info| (info.elementary_pid.as_u16(), info.stream_type)).collect();
}

/// Stuffing is 0xff, lengths stay inside the packet, and a full packet has no adaptation field.
fn check_adaptation_field(raw: &[u8]) {
    if raw[3] & 0x20 == 0 {
        return;
    }
    let length = usize::from(raw[4]);
    assert!(length <= 182, "an adaptation field leaves room for payload");
    if length == 0 {
        return;
    }
    let used = if raw[5] & 0x10 != 0 { 7 } else { 1 };
    assert!(raw[5 + used..5 + length].iter().all(|byte| *byte == 0xff), "stuffing is 0xff");
}
