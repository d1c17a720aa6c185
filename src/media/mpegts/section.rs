//! Sections: put together from packets, checked, and split into what PAT and PMT say. Keeps one
//! unfinished section a PID and no more.

use super::packet::Packet;

/// The longest section there is (ISO/IEC 13818-1 §2.4.4.1: 1021 bytes for PAT and PMT, 4093 for private ones).
const LONGEST: usize = 3 + 4093;

/// A value of this type collects the sections of one PID.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    bytes: Vec<u8>,
    /// A section has begun and its next packet bears this counter.
    next: Option<u8>,
}

impl Sections {
    /// Takes one packet, and calls `each` with every section that it completes.
    pub fn take(&mut self, packet: Packet<'_>, mut each: impl FnMut(&[u8])) {
        let payload = packet.payload();
        let goes_on = self.next == Some(packet.counter());
        if packet.begins() {
            let pointer = payload.first().map_or(0, |&count| usize::from(count));
            let rest = payload.get(1..1 + pointer).unwrap_or(&[]);
            if goes_on {
                self.bytes.extend_from_slice(rest);
                self.give(&mut each);
            }
            self.bytes.clear();
            self.bytes.extend_from_slice(payload.get(1 + pointer..).unwrap_or(&[]));
        } else if goes_on {
            self.bytes.extend_from_slice(payload);
        } else {
            self.next = None;
            return;
        }
        self.give(&mut each);
        let unfinished = !self.bytes.is_empty() && self.bytes.len() <= LONGEST;
        self.next = unfinished.then_some((packet.counter() + 1) & 15);
    }

    /// Gives away the whole sections at the front.
    fn give(&mut self, each: &mut impl FnMut(&[u8])) {
        let mut rest = &self.bytes[..];
        while let Some(section) = whole(rest) {
            each(section);
            rest = rest.get(section.len()..).unwrap_or(&[]);
        }
        // 0xff is no table: the packet is filled up with it.
        let done = if rest.first() == Some(&0xff) {
            self.bytes.len()
        } else {
            self.bytes.len() - rest.len()
        };
        self.bytes.drain(..done);
    }
}

/// The section that these bytes begin with, if it is all there.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let &[table, high, low] = bytes.first_chunk()?;
    let length = 3 + usize::from(u16::from_be_bytes([high & 0x0f, low]));
    (table != 0xff).then(|| bytes.get(..length))?
}

/// What PAT and PMT share: table, number, version, and the body; `None` for another section, one that is
/// not in force yet, or one whose checksum is wrong.
pub struct Table<'a> {
    pub number: u16,
    pub body: &'a [u8],
    /// Its checksum: two tables with the same one are the same. Their versions say less, in files that
    /// were put together.
    pub checksum: u32,
}

/// A value of this type is one stream's line in a PMT.
pub struct Line<'a> {
    pub kind: u8,
    pub pid: u16,
    pub descriptors: &'a [u8],
}

impl<'a> Table<'a> {
    pub const PROGRAMS: u8 = 0;
    pub const STREAMS: u8 = 2;

    pub fn read(section: &'a [u8], table: u8) -> Option<Self> {
        let &[id, _, _, n1, n0, version, _, _] = section.first_chunk()?;
        let body = section.get(8..section.len().checked_sub(4)?)?;
        let in_force = version & 1 == 1;
        let valid = id == table && in_force && checksum(section) == 0;
        let (number, &checksum) = (u16::from_be_bytes([n1, n0]), section.last_chunk()?);
        valid.then_some(Table { number, body, checksum: u32::from_be_bytes(checksum) })
    }

    /// Of a PAT: program numbers and the PIDs of their PMTs.
    pub fn programs(&self) -> impl Iterator<Item = (u16, u16)> + 'a {
        let entry = |&[a, b, c, d]: &[u8; 4]| {
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c & 0x1f, d]))
        };
        let (entries, _) = self.body.as_chunks();
        entries.iter().map(entry).filter(|&(number, _)| number != 0)
    }

    /// Of a PMT: the program's descriptors and the streams' lines.
    pub fn streams(&self) -> Option<(&'a [u8], impl Iterator<Item = Line<'a>> + 'a)> {
        let &[_, _, c, d] = self.body.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([c & 0x0f, d]));
        let descriptors = self.body.get(4..4 + length)?;
        let mut rest = self.body.get(4 + length..)?;
        let lines = std::iter::from_fn(move || {
            let &[kind, a, b, c, d] = rest.first_chunk()?;
            let length = usize::from(u16::from_be_bytes([c & 0x0f, d]));
            let descriptors = rest.get(5..5 + length)?;
            rest = rest.get(5 + length..)?;
            Some(Line { kind, pid: u16::from_be_bytes([a & 0x1f, b]), descriptors })
        });
        Some((descriptors, lines))
    }
}

/// The tags and bodies of a list of descriptors.
pub fn descriptors(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let &[tag, length] = bytes.first_chunk()?;
        let body = bytes.get(2..2 + usize::from(length))?;
        bytes = bytes.get(2 + usize::from(length)..)?;
        Some((tag, body))
    })
}

/// CRC-32 as in ISO/IEC 13818-1 Annex A: zero over a section with its own checksum.
pub fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |mut crc, &byte| {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            crc = crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mpegts::testing::{packets, pat, pmt};

    fn sections(stream: &[[u8; 188]]) -> Vec<Vec<u8>> {
        let (mut sections, mut seen) = (Sections::default(), Vec::new());
        for bytes in stream {
            sections.take(Packet::new(bytes).unwrap(), |section| seen.push(section.to_vec()));
        }
        seen
    }

    #[test]
    fn tables_are_read() {
        let pat = pat(&[(0, 16), (1, 0x1000), (2, 0x1fff)]);
        let table = Table::read(&pat, Table::PROGRAMS).unwrap();
        assert_eq!(table.programs().collect::<Vec<_>>(), [(1, 0x1000), (2, 0x1fff)]);
        let pmt = pmt(7, 0x101, &[(0x1b, 0x100, &[]), (6, 0x102, b"\x05\x04AC-3")]);
        let table = Table::read(&pmt, Table::STREAMS).unwrap();
        let (_, lines) = table.streams().unwrap();
        let lines: Vec<_> =
            lines.map(|line| (line.kind, line.pid, line.descriptors.len())).collect();
        assert_eq!((table.number, lines), (7, vec![(0x1b, 0x100, 0), (6, 0x102, 6)]));
    }

    #[test]
    fn a_wrong_checksum_is_no_table() {
        let mut pat = pat(&[(1, 0x1000)]);
        assert!(Table::read(&pat, Table::PROGRAMS).is_some());
        pat[9] ^= 1;
        assert!(Table::read(&pat, Table::PROGRAMS).is_none());
        // A table that is not in force yet, with a right checksum.
        let mut next = self::pat(&[(1, 0x1000)]);
        next[5] &= !1;
        let end = next.len() - 4;
        let crc = checksum(&next[..end]);
        next[end..].copy_from_slice(&crc.to_be_bytes());
        assert!(Table::read(&next, Table::PROGRAMS).is_none());
    }

    #[test]
    fn a_section_goes_over_several_packets() {
        let many: Vec<_> = (1..250).map(|n| (n, n + 100)).collect();
        let section = pat(&many);
        let stream = packets(0, &section);
        assert!(stream.len() > 5);
        assert_eq!(sections(&stream), std::slice::from_ref(&section));
        // A packet is missing, or comes twice: the section is given up, not guessed.
        let mut holed = stream.clone();
        holed.remove(2);
        let more = holed[4];
        holed.extend([more, more]);
        assert!(sections(&holed).is_empty());
        // Two sections in a row: the second begins where the first ends.
        let twice = [section.clone(), section.clone()].concat();
        assert_eq!(sections(&packets(0, &twice)), [section.clone(), section]);
    }

    #[test]
    fn a_section_that_never_ends_is_not_kept() {
        let mut stream = packets(0, &[0; 184]);
        stream[0][5..8].copy_from_slice(&[0, 0xbf, 0xff]);
        let mut collected = Sections::default();
        for k in 0..1000 {
            let mut bytes = stream[0];
            if k > 0 {
                bytes[1] &= !0x40;
            }
            bytes[3] = 0x10 | (k & 15) as u8;
            collected.take(Packet::new(&bytes).unwrap(), |_| {});
            assert!(collected.bytes.len() <= LONGEST + 188);
        }
    }
}
