//! Frames of sound: how long each is, in bytes and in time. Reads their headers and decodes nothing.

use crate::media::audio::{self, adts, mp3};
use crate::media::mpegts::codec::Codec;

/// A value of this type is one frame's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes to the next header.
    pub length: usize,
    pub samples: u32,
    /// Samples a second; zero where another frame says it.
    pub rate: u32,
    pub channels: u16,
    /// RFC 6381's word for it, or ffmpeg's.
    pub codec: String,
}

/// The frame that these bytes begin with.
pub fn frame(codec: Codec, bytes: &[u8]) -> Option<Frame> {
    let frame = match codec {
        Codec::Aac => adts::header(bytes).map(|header| known(&header, adts::codec(&header)))?,
        Codec::MpegAudio => mp3::header(bytes).map(|header| known(&header, mp3::codec(&header)))?,
        Codec::Ac3 | Codec::Eac3 => ac3(bytes)?,
        Codec::Dts => dts(bytes)?,
        Codec::Latm => latm(bytes)?,
        _ => return None,
    };
    (frame.length > 0).then_some(frame)
}

/// As in a file of such frames alone.
fn known(header: &audio::Header, codec: impl Into<String>) -> Frame {
    let &audio::Header { size, samples, rate, channels, .. } = header;
    Frame { length: size as usize, samples, rate, channels, codec: codec.into() }
}

/// How long the sound of a PES packet's body takes, in ticks of `scale` a second: the frames that begin in it.
pub fn ticks(codec: Codec, body: &[u8], scale: u32) -> Option<i64> {
    let (mut at, mut samples, mut rate) = (0, 0u64, 0);
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        match frame(codec, rest) {
            Some(frame) => {
                samples += u64::from(frame.samples);
                rate = if frame.rate > 0 { frame.rate } else { rate };
                at += frame.length;
            }
            None => at += 1,
        }
    }
    i64::try_from((samples * u64::from(scale)).checked_div(u64::from(rate))?).ok()
}

/// AAC in LATM and LOAS (ISO/IEC 14496-3 §1.7): the configuration comes with some frames only.
fn latm(bytes: &[u8]) -> Option<Frame> {
    let &[0x56, b, c, d, e, f, g] = bytes.first_chunk()? else { return None };
    if b & 0xe0 != 0xe0 {
        return None;
    }
    let length = 3 + (usize::from(b & 31) << 8 | usize::from(c));
    let codec = "mp4a.40".to_owned();
    // Same configuration as before, or a version of it that is not read here.
    if d & 0xc0 != 0 {
        return Some(Frame { length, samples: 1024, rate: 0, channels: 0, codec });
    }
    // After six bits of subframes, four of programs and three of layers: object type, rate, channels.
    let config = u16::from_be_bytes([f, g]);
    let samples = 1024 * (u32::from(d & 0x1f) << 1 | u32::from(e >> 7)).saturating_add(1);
    let rate = *adts::RATES.get(usize::from(config >> 7 & 15))?;
    let codec = format!("mp4a.40.{}", config >> 11);
    Some(Frame { length, samples, rate, channels: config >> 3 & 15, codec })
}

/// AC-3 and E-AC-3, told apart by their own version field (ETSI TS 102 366 §4.3, annex E.1.2).
fn ac3(bytes: &[u8]) -> Option<Frame> {
    const KILOBITS: [u32; 19] =
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
    const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
    let &[0x0b, 0x77, c, d, e, f, g] = bytes.first_chunk()? else { return None };
    let rates = [48000u32, 44100, 32000];
    if f >> 3 <= 10 {
        let code = usize::from(e & 63);
        let (rate, bits) = (*rates.get(usize::from(e >> 6))?, KILOBITS.get(code / 2)?);
        let words = match rate {
            48000 => bits * 2,
            32000 => bits * 3,
            _ => bits * 1000 * 96 / 44100 + (code as u32 & 1),
        };
        let mode = g >> 5;
        // The low frequency channel's flag comes after the mixing levels that the mode has.
        let levels =
            u16::from(mode & 1 == 1 && mode != 1) + u16::from(mode & 4 != 0) + u16::from(mode == 2);
        let low = u16::from(g) >> (4 - 2 * levels.min(2)) & 1;
        let channels = CHANNELS[usize::from(mode)] + low;
        let length = 2 * words as usize;
        return Some(Frame { length, samples: 1536, rate, channels, codec: "ac-3".to_owned() });
    }
    // Frames of dependent streams take no time of their own.
    let (kind, length) = (c >> 6, 2 * (usize::from(c & 7) << 8 | usize::from(d)) + 2);
    let (rate, blocks) = match e >> 6 {
        3 => (rates.get(usize::from(e >> 4 & 3))? / 2, 6),
        code => (rates[usize::from(code)], [1, 2, 3, 6][usize::from(e >> 4 & 3)]),
    };
    let samples = if kind == 1 { 0 } else { 256 * blocks };
    let channels = CHANNELS[usize::from(e >> 1 & 7)] + u16::from(e & 1);
    Some(Frame { length, samples, rate, channels, codec: "ec-3".to_owned() })
}

/// DTS, its core (ETSI TS 102 114 §5.3).
fn dts(bytes: &[u8]) -> Option<Frame> {
    const RATES: [u32; 16] =
        [0, 8000, 16000, 32000, 0, 0, 11025, 22050, 44100, 0, 0, 12000, 24000, 48000, 0, 0];
    const CHANNELS: [u16; 16] = [1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6, 6, 6, 7, 8, 8];
    let &[0x7f, 0xfe, 0x80, 0x01, a, b, c, d, e] = bytes.first_chunk()? else { return None };
    let samples = 32 * ((u32::from(a & 1) << 6 | u32::from(b >> 2)) + 1);
    let length = (usize::from(b & 3) << 12 | usize::from(c) << 4 | usize::from(d >> 4)) + 1;
    let channels = CHANNELS[usize::from((d & 15) << 2 | e >> 6) & 15];
    let rate = RATES[usize::from(e >> 2 & 15)];
    (rate > 0).then(|| Frame { length, samples, rate, channels, codec: "dtsc".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_each_kind() {
        type Wanted = (usize, u32, u32, u16, &'static str);
        let table: [(Codec, &[u8], Wanted); 5] = [
            (
                Codec::Aac,
                &[0xff, 0xf1, 0x50, 0x80, 0x1d, 0xbf, 0xfc],
                (237, 1024, 44100, 2, "mp4a.40.2"),
            ),
            (Codec::MpegAudio, &[0xff, 0xfd, 0xa4, 0x00], (576, 1152, 48000, 2, "mp2")),
            (Codec::MpegAudio, &[0xff, 0xfb, 0x92, 0xc0], (418, 1152, 44100, 1, "mp3")),
            (Codec::Ac3, &[0x0b, 0x77, 0, 0, 0x1c, 0x40, 0xe1], (1536, 1536, 48000, 6, "ac-3")),
            (Codec::Eac3, &[0x0b, 0x77, 0, 0xff, 0x34, 0x86, 0], (512, 1536, 48000, 2, "ec-3")),
        ];
        for (codec, bytes, (length, samples, rate, channels, name)) in table {
            let wanted = Frame { length, samples, rate, channels, codec: name.to_owned() };
            assert_eq!(frame(codec, bytes), Some(wanted));
            for cut in 0..bytes.len() {
                assert_eq!(frame(codec, &bytes[..cut]), None);
            }
        }
    }

    #[test]
    fn latm_says_its_rate_now_and_then() {
        // Object type 2, index 3 (48 kHz), two channels.
        let body = [0x56, 0xe0, 5, 0x20, 0x00, 0x11, 0x90, 0, 0x56, 0xe0, 4, 0x80, 0, 0, 0];
        let first = frame(Codec::Latm, &body).unwrap();
        assert_eq!((first.rate, first.channels, &first.codec[..]), (48000, 2, "mp4a.40.2"));
        assert_eq!(ticks(Codec::Latm, &body, 48_000), Some(2048));
    }

    #[test]
    fn time_is_counted_in_frames() {
        let mut body = vec![1, 2, 3];
        for _ in 0..3 {
            body.extend([0xff, 0xf1, 0x50, 0x80, 0x01, 0x7f, 0xfc, 0, 0, 0, 0]);
        }
        assert_eq!(ticks(Codec::Aac, &body, 90_000), Some(3 * 1024 * 90_000 / 44100));
        assert_eq!(ticks(Codec::Aac, &[0; 100], 90_000), None);
        assert_eq!(ticks(Codec::Ac3, &[0x0b, 0x77], 90_000), None);
    }
}
