//! What independent readers find in media: hashes of decoded frames by ffmpeg, packets by `mpeg2ts`.

use crate::process::output;
use anyhow::{Context, Result, bail};
use mpeg2ts::ts::{ReadTsPacket, TsPacketReader, TsPayload};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Time for ffmpeg to decode a minute of small pictures.
const DECODE_S: u64 = 120;

/// Hashes of the decoded pictures of a file, in order. ffmpeg must have nothing to complain about.
///
/// # Errors
/// When it has.
pub async fn pictures(file: &Path) -> Result<Vec<String>> {
    hashes(file, &["-map", "0:v", "-fps_mode", "passthrough"]).await
}

/// Hashes of the AAC frames of a file, without their ADTS headers, in order.
///
/// # Errors
/// When ffmpeg complains.
pub async fn aac_frames(file: &Path) -> Result<Vec<String>> {
    let flv = file.extension().is_some_and(|e| e == "flv");
    let filter: &[&str] = if flv { &[] } else { &["-bsf:a", "aac_adtstoasc"] };
    hashes(file, &[&["-map", "0:a", "-c:a", "copy"], filter].concat()).await
}

async fn hashes(file: &Path, how: &[&str]) -> Result<Vec<String>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-nostdin", "-i"]).arg(file).args(how).args([
        "-f",
        "framehash",
        "-hash",
        "md5",
        "-",
    ]);
    let (status, text, complaints) = output(&mut command, DECODE_S).await?;
    if !status.success() || !complaints.is_empty() {
        bail!("ffmpeg on {}: {status}\n{complaints}", file.display());
    }
    // stream, dts, pts, duration, size, hash, and whatever else there is of side data.
    let hash = |line: &str| line.split(',').nth(5).map(|h| h.trim().to_owned());
    Ok(text.lines().filter(|l| !l.starts_with('#')).filter_map(hash).collect())
}

/// Whether a segment says that decoding can begin at its first picture (ISO/IEC 13818-1, 2.4.3.5); `None` without a picture.
///
/// # Errors
/// At a packet that is wrong.
pub fn starts_with_a_key_frame(bytes: &[u8]) -> Result<Option<bool>> {
    let mut reader = TsPacketReader::new(bytes);
    while let Some(packet) = reader.read_ts_packet().context("a packet is wrong")? {
        if let Some(TsPayload::PesStart(pes)) = &packet.payload
            && pes.header.stream_id.is_video()
        {
            return Ok(Some(packet.adaptation_field.is_some_and(|field| field.random_access_indicator)));
        }
    }
    Ok(None)
}

/// Parses every packet of transport stream bytes and checks that continuity counters run on without a hole.
/// The number of packets.
///
/// # Errors
/// At the first packet that is wrong.
pub fn transport_stream(bytes: &[u8]) -> Result<usize> {
    let mut reader = TsPacketReader::new(bytes);
    let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
    let mut packets = 0;
    while let Some(packet) = reader.read_ts_packet().with_context(|| format!("packet {packets}"))? {
        packets += 1;
        let carries = matches!(packet.payload, Some(ref p) if !matches!(p, TsPayload::Null(_)));
        if !carries {
            continue;
        }
        let now = packet.header.continuity_counter.as_u8();
        let pid = packet.header.pid.as_u16();
        if let Some(before) = counters.insert(pid, now)
            && (before + 1) & 0x0f != now
        {
            bail!("packet {packets}: counter of pid {pid} went from {before} to {now}");
        }
    }
    Ok(packets)
}
