//! Names of codecs as RFC 6381 has them, made of the configurations that several containers hold.

/// AVC, by profile, constraints and level (RFC 6381 §3.3).
pub fn avc(name: &str, [profile, constraints, level]: [u8; 3]) -> String {
    format!("{name}.{profile:02X}{constraints:02X}{level:02X}")
}

/// HEVC, by what a configuration record and a sequence parameter set alike say of profile, tier and level
/// (ISO/IEC 14496-15 §E.3).
pub fn hevc(name: &str, [general, c3, c2, c1, c0, constraints @ .., level]: [u8; 12]) -> String {
    let space = ["", "A", "B", "C"][usize::from(general >> 6)];
    let tier = if general & 0x20 == 0 { 'L' } else { 'H' };
    let compatible = u32::from_be_bytes([c3, c2, c1, c0]).reverse_bits();
    let mut text = format!("{name}.{space}{}.{compatible:X}.{tier}{level}", general & 31);
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        text.push_str(&format!(".{byte:X}"));
    }
    text
}

/// AV1, by the second and the third byte of its configuration (AV1-ISOBMFF §2.3.3 and §5).
pub fn av1(name: &str, [profile, depth]: [u8; 2]) -> String {
    let tier = if depth & 0x80 == 0 { 'M' } else { 'H' };
    let bits = match depth >> 5 & 3 {
        0 | 1 => 8,
        2 => 10,
        _ => 12,
    };
    format!("{name}.{}.{:02}{tier}.{bits:02}", profile >> 5, profile & 31)
}

/// MPEG-4 audio, by its configuration: five bits of object type, or 31 and six more (ISO/IEC 14496-3 §1.6.2.1).
pub fn aac(name: &str, configuration: [u8; 2]) -> String {
    let word = u16::from_be_bytes(configuration);
    let object = match word >> 11 {
        31 => 32 + (word >> 5 & 63),
        object => object,
    };
    format!("{name}.40.{object}")
}
