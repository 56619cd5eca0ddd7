//! PAT and PMT: the two packets that every segment starts with. The sections are made by `mpeg2ts`; only the stuffing
//! is ours, 0xff behind the section as players expect it (the crate would stuff with an adaptation field).

use super::packet::PACKET_BYTES;
use super::{AUDIO_PID, PMT_PID, VIDEO_PID};
use mpeg2ts::es::StreamType;
use mpeg2ts::ts::payload::{Pat, Pmt};
use mpeg2ts::ts::{
    ContinuityCounter, EsInfo, Pid, ProgramAssociation, TransportScramblingControl, TsHeader, TsPacket, TsPacketWriter,
    TsPayload, VersionNumber, WriteTsPacket,
};

const PROGRAM: u16 = 1;
const TRANSPORT_STREAM: u16 = 1;

/// PAT and PMT with continuity counters of zero.
#[derive(Clone, Debug)]
pub(super) struct Tables([[u8; PACKET_BYTES]; 2]);

impl Tables {
    /// The tables of a program with these tracks; at least one.
    pub(super) fn new(video: bool, audio: bool) -> Result<Self, mpeg2ts::Error> {
        let pat = Pat {
            transport_stream_id: TRANSPORT_STREAM,
            version_number: VersionNumber::new(),
            table: vec![ProgramAssociation { program_num: PROGRAM, program_map_pid: Pid::new(PMT_PID)? }],
        };
        let tracks = [(video, StreamType::H264, VIDEO_PID), (audio, StreamType::AdtsAac, AUDIO_PID)];
        let mut es_info = Vec::new();
        for (there, stream_type, pid) in tracks {
            if there {
                es_info.push(EsInfo { stream_type, elementary_pid: Pid::new(pid)?, descriptors: Vec::new() });
            }
        }
        let pmt = Pmt {
            program_num: PROGRAM,
            pcr_pid: Some(Pid::new(if video { VIDEO_PID } else { AUDIO_PID })?),
            version_number: VersionNumber::new(),
            program_info: Vec::new(),
            es_info,
        };
        Ok(Self([packet(Pid::PAT, TsPayload::Pat(pat))?, packet(PMT_PID, TsPayload::Pmt(pmt))?]))
    }

    /// Appends both packets with this continuity counter.
    pub(super) fn write(&self, out: &mut Vec<u8>, counter: u8) {
        for packet in &self.0 {
            let from = out.len();
            out.extend_from_slice(packet);
            if let Some(byte) = out.get_mut(from + 3) {
                *byte |= counter & 0x0f;
            }
        }
    }
}

/// Has `mpeg2ts` write a packet and moves its section to the front.
fn packet(pid: u16, payload: TsPayload) -> Result<[u8; PACKET_BYTES], mpeg2ts::Error> {
    let header = TsHeader {
        transport_error_indicator: false,
        transport_priority: false,
        pid: Pid::new(pid)?,
        transport_scrambling_control: TransportScramblingControl::NotScrambled,
        continuity_counter: ContinuityCounter::new(),
    };
    let mut writer = TsPacketWriter::new(Vec::with_capacity(PACKET_BYTES));
    writer.write_ts_packet(&TsPacket { header, adaptation_field: None, payload: Some(payload) })?;
    let written = writer.into_stream();
    let (header, rest) = written.split_at(4);
    let has_adaptation_field = header.get(3).is_some_and(|byte| byte & 0x20 != 0);
    let adaptation_bytes =
        if has_adaptation_field { 1 + rest.first().map_or(0, |length| usize::from(*length)) } else { 0 };
    let section = rest.get(adaptation_bytes..).unwrap_or_default();
    let mut packet = [0xff; PACKET_BYTES];
    let bytes = header.iter().chain(section);
    packet.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    packet[3] = 0x10; // payload only
    Ok(packet)
}
