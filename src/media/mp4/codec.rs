//! A sample entry: which codec, how large, how many channels (ISO/IEC 14496-12 §8.5.2, RFC 6381 §3).

use super::{
    boxes::{Place, Window},
    tables::Packing,
};
use crate::media::{Error, Kind, Track, codec};

/// Deepest box within a sample entry that is looked at: `wave` in QuickTime, `sinf` in encrypted tracks.
const DEPTH: u8 = 3;

/// Fills in what the sample entry at `entry` says of its track. What it doesn't say stays unsaid.
pub fn describe(window: &mut Window, entry: &Place, track: &mut Track) -> Result<(), Error> {
    let mut kind = entry.kind;
    let mut configuration = None;
    let fixed = match track.kind {
        Kind::Video if entry.length() >= 78 => {
            let size = (window.u16(entry.body + 24)?, window.u16(entry.body + 26)?);
            if size.0 > 0 && size.1 > 0 {
                track.dimensions = Some((size.0.into(), size.1.into()));
            }
            78
        }
        Kind::Audio if entry.length() >= 28 => {
            track.channels = Some(window.u16(entry.body + 16)?).filter(|&count| count > 0);
            track.sample_rate = Some(window.u32(entry.body + 24)? >> 16).filter(|&rate| rate > 0);
            // QuickTime's versions 1 and 2 say more before their boxes.
            match window.u16(entry.body + 8)? {
                1 => 44,
                2 if entry.length() >= 64 => {
                    let rate = f64::from_bits(window.u64(entry.body + 32)?);
                    track.sample_rate = Some(rate as u32).filter(|&rate| rate > 0);
                    track.channels = u16::try_from(window.u32(entry.body + 40)?).ok();
                    64
                }
                _ => 28,
            }
        }
        _ => entry.length(),
    };
    let inside = Place { body: entry.body.saturating_add(fixed), ..*entry };
    search(window, &inside, DEPTH, &mut |window, child| {
        match &child.kind {
            b"frma" if matches!(&entry.kind, b"encv" | b"enca") => {
                kind = window.bytes(child.body)?
            }
            b"avcC" | b"hvcC" | b"av1C" | b"vpcC" | b"esds" if configuration.is_none() => {
                configuration = Some(child);
            }
            _ => {}
        }
        Ok(())
    })?;
    track.codec = match configuration {
        // A configuration that is cut short still leaves the container's own name.
        Some(place) => exact(window, kind, &place).unwrap_or(None),
        None => None,
    }
    .unwrap_or_else(|| name(kind));
    Ok(())
}

/// The codec's four letters: those that the entry of an encrypted track keeps (§8.12.2), else its own.
pub fn format(window: &mut Window, entry: &Place, kind: Kind) -> Result<[u8; 4], Error> {
    let (mut format, fixed) = (entry.kind, if kind == Kind::Video { 78 } else { 28 });
    if matches!(&entry.kind, b"encv" | b"enca") {
        let inside = Place { body: entry.body.saturating_add(fixed), ..*entry };
        search(window, &inside, DEPTH, &mut |window, child| {
            if child.is(b"frma") {
                format = window.bytes(child.body)?;
            }
            Ok(())
        })?;
    }
    Ok(format)
}

/// Whether a decoder may start at any frame of sound in that format: all are such but for a few that predict frames of
/// others, and those that ffmpeg doesn't know.
pub fn is_intra(format: [u8; 4]) -> bool {
    !matches!(&format, b"mlpa" | b"ac-4" | b"mha1" | b"mha2" | b"mhm1" | b"mhm2")
}

/// How the sample entry of a sound track says that moments are packed (QuickTime File Format, "Sound Sample
/// Descriptions"); one moment of all channels where it says nothing.
pub fn packing(window: &mut Window, entry: &Place) -> Result<Packing, Error> {
    let version = window.u16(entry.body + 8)?;
    let bits = match &entry.kind {
        b"alaw" | b"ulaw" => 8,
        b"in24" => 24,
        b"in32" | b"fl32" => 32,
        b"fl64" => 64,
        // Of the others alone this is true: it is 16 wherever the codec says how many there are.
        _ => u32::from(window.u16(entry.body + 18)?),
    };
    let one = Packing { moments: 1, bytes: u32::from(window.u16(entry.body + 16)?) * (bits / 8) };
    Ok(match version {
        1 if window.u32(entry.body + 28)? > 1 => {
            Packing { moments: window.u32(entry.body + 28)?, bytes: window.u32(entry.body + 36)? }
        }
        2 => Packing { moments: window.u32(entry.body + 60)?, bytes: window.u32(entry.body + 56)? },
        _ => one,
    })
}

fn search(
    window: &mut Window,
    of: &Place,
    depth: u8,
    each: &mut dyn FnMut(&mut Window, Place) -> Result<(), Error>,
) -> Result<(), Error> {
    window.children(of, |window, child| {
        each(window, child)?;
        match &child.kind {
            b"wave" | b"sinf" if depth > 0 => search(window, &child, depth - 1, each),
            _ => Ok(()),
        }
    })
}

/// The container's own four letters; other bytes than letters as hexadecimal digits.
pub fn name(kind: [u8; 4]) -> String {
    match kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        true => String::from_utf8_lossy(&kind).trim_end().to_owned(),
        false => format!("0x{:08x}", u32::from_be_bytes(kind)),
    }
}

fn exact(window: &mut Window, kind: [u8; 4], place: &Place) -> Result<Option<String>, Error> {
    let name = name(kind);
    let at = place.body;
    Ok(match &place.kind {
        b"avcC" => {
            let [_, profile, constraints, level] = window.bytes(at)?;
            Some(codec::avc(&name, [profile, constraints, level]))
        }
        b"hvcC" => Some(codec::hevc(&name, window.bytes(at + 1)?)),
        b"av1C" => {
            let [_, profile, depth, _] = window.bytes(at)?;
            Some(codec::av1(&name, [profile, depth]))
        }
        b"vpcC" => {
            let [_, _, _, _, profile, level, depth, _] = window.bytes(at)?;
            Some(format!("{name}.{profile:02}.{level:02}.{:02}", depth >> 4))
        }
        b"esds" => mpeg4(window, &name, place)?,
        _ => None,
    })
}

/// The object type and, for AAC, the audio object type in its descriptors (ISO/IEC 14496-1 §7.2.6.5).
fn mpeg4(window: &mut Window, name: &str, place: &Place) -> Result<Option<String>, Error> {
    let mut at = place.body.saturating_add(4);
    let mut object = None;
    while at < place.end {
        let tag = window.u8(at)?;
        let mut length = 0u32;
        for _ in 0..4 {
            at += 1;
            let byte = window.u8(at)?;
            length = length << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += 1;
        match tag {
            // ES_Descriptor: its number and its flags, then the next one within it.
            3 => {
                let flags = window.u8(at + 2)?;
                at += 3
                    + if flags & 0x80 == 0 { 0 } else { 2 }
                    + if flags & 0x20 == 0 { 0 } else { 2 };
                if flags & 0x40 != 0 {
                    at += 1 + u64::from(window.u8(at)?);
                }
            }
            4 => {
                object = Some(window.u8(at)?);
                at += 13;
            }
            5 if object == Some(0x40) => {
                return Ok(Some(codec::aac(name, window.bytes(at)?)));
            }
            5 => break,
            _ => at += u64::from(length),
        }
    }
    Ok(object.map(|object| format!("{name}.{object:02x}")))
}
