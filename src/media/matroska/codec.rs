//! What a codec is called: RFC 6381 where CodecPrivate tells enough, the field's short word where there is one,
//! else the CodecID itself.

use crate::media::Kind;

/// The name of a codec by its CodecID (RFC 9559 §5.1.4.1.21) and the first bytes of its CodecPrivate.
pub fn name(id: &str, private: &[u8]) -> String {
    let exact = match id {
        "V_MPEG4/ISO/AVC" => avc(private),
        "V_MPEGH/ISO/HEVC" => hevc(private),
        "V_AV1" => av1(private),
        "A_AAC" => aac(private),
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

/// AVCDecoderConfigurationRecord: version, profile, constraints, level (ISO/IEC 14496-15 §5.3.3).
fn avc(private: &[u8]) -> Option<String> {
    match private {
        &[1, profile, constraints, level, ..] => {
            Some(format!("avc1.{profile:02X}{constraints:02X}{level:02X}"))
        }
        _ => None,
    }
}

/// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3 and annex E.3 for its name).
fn hevc(private: &[u8]) -> Option<String> {
    let &[1, profile, c0, c1, c2, c3, ref rest @ ..] = private else { return None };
    let (constraints, level) = (rest.get(..6)?, *rest.get(6)?);
    let space = ["", "A", "B", "C"].get(usize::from(profile >> 6)).copied().unwrap_or_default();
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatible = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    let mut name = format!("hvc1.{space}{}.{compatible:X}.{tier}{level}", profile & 0x1F);
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        name.push_str(&format!(".{byte:X}"));
    }
    Some(name)
}

/// AV1CodecConfigurationRecord: profile and level, tier and depth (AV1-ISOBMFF §2.3.3 and §5).
fn av1(private: &[u8]) -> Option<String> {
    let &[0x81, profile_level, tier_depth, ..] = private else { return None };
    let tier = if tier_depth & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match tier_depth >> 5 & 3 {
        0 | 1 => 8,
        2 => 10,
        _ => 12,
    };
    Some(format!("av01.{}.{:02}{tier}.{depth:02}", profile_level >> 5, profile_level & 0x1F))
}

/// AudioSpecificConfig: five bits of object type, or 31 and six more (ISO/IEC 14496-3 §1.6.2.1).
fn aac(private: &[u8]) -> Option<String> {
    let &[first, second, ..] = private else { return None };
    let object = match first >> 3 {
        31 => 32 + ((first & 7) << 3 | second >> 5),
        object => object,
    };
    Some(format!("mp4a.40.{object}"))
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
