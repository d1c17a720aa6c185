//! What a stream is, from its line in the PMT: stream type, descriptors, registrations.
//! Never looks into the stream itself.

use super::section::{Line, descriptors};
use crate::media::Kind;

/// A value of this type is a kind of elementary stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    H264,
    Hevc,
    Vvc,
    /// MPEG-1 and MPEG-2 video: one syntax, and writers mix the stream types up.
    Mpeg2,
    Mpeg4,
    Vc1,
    /// A video codec whose pictures aren't looked into.
    Video(&'static str),
    Aac,
    Latm,
    MpegAudio,
    Ac3,
    Eac3,
    Dts,
    /// An audio codec whose frames aren't looked into.
    Audio(&'static str),
    /// Subtitles and data with times of their own, in PES packets.
    Timed(&'static str),
    Unknown(u8),
}

use Codec::*;

impl Codec {
    pub fn kind(self) -> Kind {
        match self {
            H264 | Hevc | Vvc | Mpeg2 | Mpeg4 | Vc1 | Video(_) => Kind::Video,
            Aac | Latm | MpegAudio | Ac3 | Eac3 | Dts | Audio(_) => Kind::Audio,
            Timed(_) | Unknown(_) => Kind::Other,
        }
    }

    /// Private data in PES packets that no descriptor names. It may be sound: M2TS has no type for AAC, so ffmpeg gives this.
    pub fn is_nameless(self) -> bool {
        self == Unknown(0x06)
    }

    /// The name where the stream says nothing finer: RFC 6381 where there is one, else ffmpeg's.
    pub fn name(self) -> String {
        let name = match self {
            H264 => "avc1",
            Hevc => "hvc1",
            Vvc => "vvc1",
            Mpeg2 => "mpeg2video",
            Mpeg4 => "mp4v.20",
            Vc1 => "vc-1",
            Aac | Latm => "mp4a.40",
            MpegAudio => "mp3",
            Ac3 => "ac-3",
            Eac3 => "ec-3",
            Dts => "dtsc",
            Video(name) | Audio(name) | Timed(name) => name,
            Unknown(kind) => return format!("stream type 0x{kind:02x}"),
        };
        name.to_owned()
    }

    /// By stream type, then by the descriptors where the type leaves it open.
    pub fn of(line: &Line<'_>, program: &[u8]) -> Codec {
        let blu_ray = registered(program).any(|name| matches!(name, b"HDMV" | b"HDPR"))
            || registered(line.descriptors).any(|name| name == b"HDMV");
        if blu_ray && let Some(codec) = blu_ray_type(line.kind) {
            return codec;
        }
        let splices =
            registered(program).chain(registered(line.descriptors)).any(|name| name == b"CUEI");
        let by_type = match line.kind {
            0x01 | 0x02 => Mpeg2,
            0x03 | 0x04 => MpegAudio,
            0x0f | 0xcf => Aac,
            0x10 => Mpeg4,
            0x11 | 0x1c => Latm,
            0x1b | 0x1f | 0x20 | 0xdb => H264,
            0x21 => Video("mj2c"),
            0x24 | 0x25 => Hevc,
            0x33 => Vvc,
            0x42 => Video("cavs"),
            0xd1 => Video("dirac"),
            0xd2 => Video("avs2"),
            0xd4 => Video("avs3"),
            0xea => Vc1,
            0x81 | 0xc1 => Ac3,
            0x84 | 0x87 | 0xc2 => Eac3,
            // Where a program says whose types it has, it is another's: SCTE 27 subtitles.
            0x82 if registered(program).next().is_none() => Dts,
            0x83 if registered(program).next().is_none() => Audio("mlpa"),
            0x8a => Dts,
            0x86 if splices => Timed("scte_35"),
            kind => Unknown(kind),
        };
        match by_type {
            Unknown(kind) => described(line.descriptors).unwrap_or(Unknown(kind)),
            codec => codec,
        }
    }
}

/// The four letters of each registration descriptor.
fn registered(bytes: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    descriptors(bytes).filter(|(tag, _)| *tag == 5).filter_map(|(_, body)| body.first_chunk())
}

fn blu_ray_type(kind: u8) -> Option<Codec> {
    Some(match kind {
        0x80 => Audio("pcm_bluray"),
        0x81 => Ac3,
        0x82 | 0x85 | 0x86 | 0xa2 => Dts,
        0x83 => Audio("mlpa"),
        0x84 | 0xa1 => Eac3,
        0x90 => Timed("hdmv_pgs_subtitle"),
        0x91 => Timed("hdmv_ig"),
        0x92 => Timed("hdmv_text_subtitle"),
        _ => return None,
    })
}

fn described(bytes: &[u8]) -> Option<Codec> {
    let by_name = registered(bytes).find_map(|name| {
        Some(match name {
            b"AC-3" => Ac3,
            b"EAC3" => Eac3,
            b"HEVC" => Hevc,
            b"VC-1" => Vc1,
            b"Opus" => Audio("opus"),
            b"DTS1" | b"DTS2" | b"DTS3" => Dts,
            b"BSSD" => Audio("s302m"),
            b"drac" => Video("dirac"),
            b"AV01" => Video("av01"),
            b"KLVA" => Timed("klv"),
            b"ID3 " => Timed("timed_id3"),
            _ => return None,
        })
    });
    by_name.or_else(|| {
        descriptors(bytes).find_map(|(tag, body)| {
            Some(match (tag, body.first()) {
                (0x6a, _) => Ac3,
                (0x7a, _) => Eac3,
                (0x7b, _) => Dts,
                (0x7c, _) => Aac,
                (0x7f, Some(0x15)) => Audio("ac-4"),
                (0x7f, Some(0x80)) => Audio("opus"),
                (0x56, _) => Timed("dvb_teletext"),
                (0x59, _) => Timed("dvb_subtitle"),
                _ => return None,
            })
        })
    })
}

/// ISO 639, where the PMT gives one.
pub fn language(bytes: &[u8]) -> Option<String> {
    let (_, body) = descriptors(bytes).find(|(tag, _)| matches!(tag, 0x0a | 0x56 | 0x59))?;
    let letters: &[u8; 3] = body.first_chunk()?;
    let known = letters.iter().all(u8::is_ascii_alphabetic) && letters != b"und";
    known.then(|| letters.iter().map(|&letter| letter.to_ascii_lowercase() as char).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(kind: u8, descriptors: &[u8], program: &[u8]) -> Codec {
        Codec::of(&Line { kind, pid: 0x100, descriptors }, program)
    }

    #[test]
    fn types_and_descriptors_name_a_codec() {
        let table: [(u8, &[u8], &[u8], Codec); 17] = [
            (0x1b, b"", b"", H264),
            (0x24, b"", b"", Hevc),
            (0x02, b"", b"", Mpeg2),
            (0x81, b"", b"", Ac3),
            (0x06, b"", b"", Unknown(6)),
            (0x06, b"\x05\x04AC-3", b"", Ac3),
            (0x06, b"\x05\x04HEVC", b"", Hevc),
            (0x06, b"\x6a\x01\x00", b"", Ac3),
            (0x06, b"\x7f\x02\x15\x00", b"", Audio("ac-4")),
            (0x86, b"", b"\x05\x04CUEI", Timed("scte_35")),
            (0x86, b"", b"\x05\x04HDMV", Dts),
            (0x82, b"", b"", Dts),
            (0x82, b"", b"\x05\x04GA94", Unknown(0x82)),
            (0x83, b"", b"", Audio("mlpa")),
            (0x83, b"", b"\x05\x04GA94", Unknown(0x83)),
            (0x90, b"", b"\x05\x04HDMV", Timed("hdmv_pgs_subtitle")),
            (0x90, b"", b"", Unknown(0x90)),
        ];
        for (kind, descriptors, program, wanted) in table {
            assert_eq!(codec(kind, descriptors, program), wanted, "{kind:#x} {descriptors:?}");
        }
    }

    #[test]
    fn a_descriptor_cut_short_says_nothing() {
        assert_eq!(codec(6, b"\x05\x04AC-", b""), Unknown(6));
        assert_eq!(language(b"\x0a\x04ENG\x00"), Some("eng".to_owned()));
        assert_eq!(language(b"\x0a\x04und\x00"), None);
        assert_eq!(language(b"\x0a\x02en"), None);
    }
}
