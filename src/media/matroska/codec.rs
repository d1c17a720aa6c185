//! What a codec is called: RFC 6381 where CodecPrivate tells enough, the field's short word where there is one,
//! else the CodecID itself.

use crate::media::{Kind, codec};

/// The name of a codec by its CodecID (RFC 9559 §5.1.4.1.21) and the first bytes of its CodecPrivate.
pub fn name(id: &str, private: &[u8]) -> String {
    // The same configurations as in MP4, each with its version before it but for the last.
    let exact = match (id, private) {
        ("V_MPEG4/ISO/AVC", &[1, profile, constraints, level, ..]) => {
            Some(codec::avc("avc1", [profile, constraints, level]))
        }
        ("V_MPEGH/ISO/HEVC", [1, rest @ ..]) => {
            rest.first_chunk().map(|&told| codec::hevc("hvc1", told))
        }
        ("V_AV1", &[0x81, profile, depth, ..]) => Some(codec::av1("av01", [profile, depth])),
        ("A_AAC", &[first, second, ..]) => Some(codec::aac("mp4a", [first, second])),
        _ => None,
    };
    exact.unwrap_or_else(|| {
        let short = match id {
            "V_MPEG4/ISO/AVC" => "avc1",
            "V_MPEGH/ISO/HEVC" => "hvc1",
            "V_AV1" => "av01",
            "V_VP8" => "vp8",
            "V_VP9" => "vp9",
            "V_MPEG2" => "mp4v.61",
            "V_MPEG1" => "mp4v.6A",
            "V_MPEG4/ISO/ASP" | "V_MPEG4/ISO/SP" | "V_MPEG4/ISO/AP" => "mp4v.20",
            "V_PRORES" => return prores(private).unwrap_or_else(|| id.to_owned()),
            "A_OPUS" => "opus",
            "A_VORBIS" => "vorbis",
            "A_FLAC" => "flac",
            "A_AC3" => "ac-3",
            "A_EAC3" => "ec-3",
            "A_MPEG/L3" => "mp3",
            "A_DTS" => "dtsc",
            "A_AAC" => "mp4a.40",
            _ => match id.strip_prefix("A_AAC/MPEG") {
                Some(profile) if profile.ends_with("LC/SBR") => "mp4a.40.5",
                Some(profile) if profile.ends_with("MAIN") => "mp4a.40.1",
                Some(profile) if profile.ends_with("LC") => "mp4a.40.2",
                Some(profile) if profile.ends_with("SSR") => "mp4a.40.3",
                _ => id,
            },
        };
        short.to_owned()
    })
}

/// Whether a decoder may start at any frame of it: at sound but for two codecs, and at pictures that are coded by
/// themselves. Some muxers mark the first block alone.
pub fn is_intra(kind: Kind, id: &str) -> bool {
    match kind {
        Kind::Audio => !matches!(id, "A_TRUEHD" | "A_MLP"),
        Kind::Video => matches!(id, "V_MJPEG" | "V_PRORES" | "V_UNCOMPRESSED"),
        Kind::Other => false,
    }
}

fn prores(private: &[u8]) -> Option<String> {
    let four = std::str::from_utf8(private.get(..4)?).ok()?;
    four.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| four.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_private_data_where_it_says_enough() {
        for (id, private, expected) in [
            ("V_MPEG4/ISO/AVC", &[1, 0x64, 0, 0x1F, 0xFF][..], "avc1.64001F"),
            ("V_MPEG4/ISO/AVC", &[], "avc1"),
            (
                "V_MPEGH/ISO/HEVC",
                &[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93],
                "hvc1.1.6.L93.90",
            ),
            (
                "V_MPEGH/ISO/HEVC",
                &[1, 0x22, 0x20, 0, 0, 0, 0xB0, 0, 0, 0, 0, 0, 153],
                "hvc1.2.4.H153.B0",
            ),
            ("V_AV1", &[0x81, 0x04, 0x0C, 0], "av01.0.04M.08"),
            ("V_AV1", &[0x81, 0x08, 0x4C, 0], "av01.0.08M.10"),
            ("V_VP9", &[], "vp9"),
            ("A_AAC", &[0x12, 0x10], "mp4a.40.2"),
            ("A_AAC", &[0xF9, 0x46], "mp4a.40.42"),
            ("A_AAC/MPEG2/LC/SBR", &[], "mp4a.40.5"),
            ("A_OPUS", b"OpusHead", "opus"),
            ("V_PRORES", b"apch", "apch"),
            ("V_MS/VFW/FOURCC", b"", "V_MS/VFW/FOURCC"),
        ] {
            assert_eq!(name(id, private), expected, "{id}");
        }
    }
}
