//! Which streams a file has: PAT and PMT as they come, or a guess from the PES packets where there are
//! none. Streams are listed in the order in which they were first named.

use super::codec::{self, Codec};
use super::packet::{PIDS, Packet};
use super::pes::{self, Reading};
use super::section::{Sections, Table};
use crate::media::Kind;

/// A value of this type is one elementary stream.
#[derive(Clone, Debug)]
pub struct Stream {
    pub pid: u16,
    pub codec: Codec,
    pub language: Option<String>,
    pub program: u16,
    /// The tables don't know its codec, and its first bytes were looked at for it.
    looked_at: bool,
}

#[derive(Clone, Debug)]
struct Program {
    number: u16,
    pid: u16,
    sections: Sections,
    /// The checksum of its PMT, once there was one.
    map: Option<u32>,
    /// The streams that its PMT names now.
    streams: Vec<u16>,
}

/// A value of this type is what PAT and PMT have said so far.
#[derive(Clone, Debug)]
pub struct Tables {
    programs: Sections,
    list: Vec<Program>,
    streams: Vec<Stream>,
    /// For each PID the stream's place in the list, plus one.
    places: Vec<u16>,
    /// The PIDs on which a PMT may come.
    maps: Vec<bool>,
}

impl Default for Tables {
    fn default() -> Self {
        let (programs, list, streams) = Default::default();
        Tables { programs, list, streams, places: vec![0; PIDS], maps: vec![false; PIDS] }
    }
}

impl Tables {
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The place of a PID's stream in the list.
    pub fn place(&self, pid: u16) -> Option<usize> {
        usize::from(*self.places.get(usize::from(pid))?).checked_sub(1)
    }

    /// Every program that the PAT names has had its PMT.
    pub fn complete(&self) -> bool {
        !self.list.is_empty() && self.list.iter().all(|program| program.map.is_some())
    }

    /// A PMT comes on this PID.
    pub fn is_map(&self, pid: u16) -> bool {
        self.maps.get(usize::from(pid)).is_some_and(|&map| map)
    }

    /// Takes a packet that may bear a table; true if something changed.
    pub fn take(&mut self, packet: Packet<'_>) -> bool {
        if packet.scrambled() {
            return false;
        }
        let (pid, mut changed) = (packet.pid(), false);
        if pid == 0 {
            let mut sections = std::mem::take(&mut self.programs);
            sections.take(packet, |section| changed |= self.programs(section));
            self.programs = sections;
        } else if self.is_map(pid) {
            for at in 0..self.list.len() {
                if self.list[at].pid == pid {
                    let mut sections = std::mem::take(&mut self.list[at].sections);
                    sections.take(packet, |section| changed |= self.map(at, section));
                    self.list[at].sections = sections;
                }
            }
        }
        changed
    }

    fn programs(&mut self, section: &[u8]) -> bool {
        let Some(table) = Table::read(section, Table::PROGRAMS) else { return false };
        let mut changed = false;
        for (number, pid) in table.programs() {
            let known = self.list.iter().position(|program| program.number == number);
            let mut program = Program {
                number,
                pid,
                sections: Sections::default(),
                map: None,
                streams: Vec::new(),
            };
            match known {
                Some(at) if self.list[at].pid == pid => continue,
                Some(at) => {
                    program.streams = std::mem::take(&mut self.list[at].streams);
                    self.list[at] = program;
                }
                // A multiplex holds some dozens; this many are a lie.
                None if self.list.len() < 1024 => self.list.push(program),
                None => continue,
            }
            (self.maps[usize::from(pid)], changed) = (true, true);
        }
        changed
    }

    fn map(&mut self, at: usize, section: &[u8]) -> bool {
        let Some(table) = Table::read(section, Table::STREAMS) else { return false };
        let program = &mut self.list[at];
        if table.number != program.number || program.map == Some(table.checksum) {
            return false;
        }
        let Some((descriptors, lines)) = table.streams() else { return false };
        program.map = Some(table.checksum);
        program.streams.clear();
        for line in lines {
            program.streams.push(line.pid);
            let place = &mut self.places[usize::from(line.pid)];
            let known = usize::from(*place).checked_sub(1).and_then(|at| self.streams.get(at));
            let codec = match Codec::of(&line, descriptors) {
                // As it was recognised.
                Codec::Unknown(kind) => known.map_or(Codec::Unknown(kind), |known| known.codec),
                codec => codec,
            };
            let looked_at = known.is_some_and(|known| known.looked_at);
            let stream = Stream {
                pid: line.pid,
                looked_at,
                codec,
                language: codec::language(line.descriptors),
                program: table.number,
            };
            match usize::from(*place).checked_sub(1) {
                Some(at) => self.streams[at] = stream,
                None => {
                    self.streams.push(stream);
                    *place = self.streams.len() as u16;
                }
            }
        }
        true
    }

    /// The programs that a stream belongs to.
    pub fn programs_of(&self, pid: u16) -> impl Iterator<Item = u16> {
        let stream = self.place(pid).and_then(|place| self.streams.get(place));
        let named = self.list.iter().filter(move |program| program.streams.contains(&pid));
        named.map(|program| program.number).chain(stream.map(|stream| stream.program))
    }

    /// The PID on which a stream goes on: another one where a newer PMT no longer names it, but names one
    /// of its kind in its place.
    pub fn successor(&self, pid: u16) -> Option<u16> {
        let stream = self.streams.get(self.place(pid)?)?;
        let program = self.list.iter().find(|program| program.number == stream.program)?;
        if program.streams.contains(&pid) {
            return None;
        }
        program.streams.iter().copied().find(|&other| {
            let place = self.place(other).and_then(|place| self.streams.get(place));
            place.is_some_and(|other| other.codec.kind() == stream.codec.kind())
        })
    }

    /// Takes the first packet of a PES packet for what it is, where the tables name its stream and no codec that is
    /// known: some cable networks have a type of their own for MPEG-2.
    pub fn recognise(&mut self, packet: Packet<'_>) {
        let place = self.place(packet.pid()).filter(|_| packet.begins() && !packet.scrambled());
        if let Some(stream) = place.and_then(|place| self.streams.get_mut(place))
            && matches!(stream.codec, Codec::Unknown(_))
        {
            stream.looked_at = true;
            stream.codec = guess(packet.payload()).unwrap_or(stream.codec);
        }
    }

    /// Streams that were not met are named without a codec that is known, and none of pictures is named.
    pub fn is_vague(&self) -> bool {
        let nameless =
            |stream: &Stream| matches!(stream.codec, Codec::Unknown(_)) && !stream.looked_at;
        self.streams.iter().any(nameless) && self.first(Kind::Video, |_| true).is_none()
    }

    /// Where no table names any stream: takes a PES packet's first packet for a stream of its own.
    pub fn guess(&mut self, packet: Packet<'_>) {
        let payload = packet.payload();
        let unknown = self.place(packet.pid()).is_none();
        if !packet.begins() || packet.scrambled() || !unknown {
            return;
        }
        let Some(codec) = guess(payload) else { return };
        let pid = packet.pid();
        self.streams.push(Stream { pid, codec, language: None, program: 0, looked_at: true });
        self.places[usize::from(pid)] = self.streams.len() as u16;
    }

    pub fn first(&self, kind: Kind, mut has: impl FnMut(usize) -> bool) -> Option<usize> {
        let of_kind = |&at: &usize| self.streams[at].codec.kind() == kind && has(at);
        (0..self.streams.len()).find(of_kind)
    }

    pub fn weight(&self) -> usize {
        self.places.len() * 2
            + self.maps.len()
            + self.streams.capacity() * size_of::<Stream>()
            + self
                .list
                .iter()
                .map(|p| size_of::<Program>() + 2 * p.streams.capacity())
                .sum::<usize>()
    }
}

/// What a PES packet holds that begins so.
fn guess(payload: &[u8]) -> Option<Codec> {
    let Reading::Header(header) = pes::read(payload) else { return None };
    let body = payload.get(header.body..).unwrap_or(&[]);
    Some(match header.stream_id {
        0xe0..=0xef => guess_video(body),
        0xc0..=0xdf => guess_audio(body),
        0xbd if body.starts_with(&[0x0b, 0x77]) => Codec::Ac3,
        0xbd if body.starts_with(&[0x7f, 0xfe, 0x80, 0x01]) => Codec::Dts,
        _ => return None,
    })
}

fn guess_video(body: &[u8]) -> Codec {
    let Some(code) = body.windows(4).find(|bytes| bytes.starts_with(&[0, 0, 1])) else {
        return Codec::Mpeg2;
    };
    match code[3] {
        0x00 | 0xb3 | 0xb8 => Codec::Mpeg2,
        0xb0 | 0xb5 | 0xb6 | 0x20 => Codec::Mpeg4,
        0x0d..=0x0f => Codec::Vc1,
        first if matches!(first >> 1, 32..=35) => Codec::Hevc,
        _ => Codec::H264,
    }
}

fn guess_audio(body: &[u8]) -> Codec {
    match body.first_chunk() {
        Some(&[0xff, second]) if second & 0xf6 == 0xf0 => Codec::Aac,
        Some(&[0x56, second]) if second & 0xe0 == 0xe0 => Codec::Latm,
        Some(&[0x0b, 0x77]) => Codec::Ac3,
        _ => Codec::MpegAudio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mpegts::testing::{packets, pat, pmt};

    fn take(tables: &mut Tables, pid: u16, section: &[u8]) -> bool {
        let mut changed = false;
        for bytes in packets(pid, section) {
            changed |= tables.take(Packet::new(&bytes).unwrap());
        }
        changed
    }

    #[test]
    fn streams_come_in_the_order_of_their_maps() {
        let mut tables = Tables::default();
        assert!(!take(&mut tables, 0x20, &pmt(1, 9, &[(0x1b, 9, &[])])), "no PAT names this PID");
        assert!(take(&mut tables, 0, &pat(&[(1, 0x20), (2, 0x21)])));
        assert!(take(&mut tables, 0x21, &pmt(2, 9, &[(0x0f, 8, &[]), (0x1b, 9, &[])])));
        assert!(!tables.complete());
        assert!(take(&mut tables, 0x20, &pmt(1, 7, &[(0x24, 7, &[])])));
        assert!(tables.complete());
        let pids: Vec<_> = tables.streams().iter().map(|stream| stream.pid).collect();
        assert_eq!(pids, [8, 9, 7]);
        assert_eq!(tables.first(Kind::Video, |_| true), Some(1));
        assert!(!take(&mut tables, 0x20, &pmt(1, 7, &[(0x24, 7, &[])])), "the same again");
    }

    #[test]
    fn a_newer_map_moves_a_stream() {
        let mut tables = Tables::default();
        take(&mut tables, 0, &pat(&[(1, 0x20)]));
        take(&mut tables, 0x20, &pmt(1, 7, &[(0x0f, 8, &[]), (0x1b, 7, &[])]));
        assert_eq!(tables.successor(7), None);
        let newer = pmt(1, 7, &[(0x0f, 8, &[]), (0x24, 17, &[])]);
        assert!(take(&mut tables, 0x20, &newer));
        assert_eq!((tables.successor(7), tables.successor(8)), (Some(17), None));
    }

    #[test]
    fn without_tables_the_streams_tell() {
        let mut tables = Tables::default();
        let h264 = [0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, 0, 0, 0, 1, 9, 0xf0];
        let hevc = [0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, 0, 0, 1, 0x46, 1, 0x50];
        let aac = [0, 0, 1, 0xc0, 0, 0, 0x80, 0, 0, 0xff, 0xf1, 0, 0, 0];
        for (pid, start) in [(1, &h264[..]), (2, &hevc), (3, &aac), (1, &aac)] {
            let mut bytes = packets(pid, &[0; 183])[0];
            bytes[4..4 + start.len()].copy_from_slice(start);
            tables.guess(Packet::new(&bytes).unwrap());
        }
        let codecs: Vec<_> = tables.streams().iter().map(|stream| stream.codec).collect();
        assert_eq!(codecs, [Codec::H264, Codec::Hevc, Codec::Aac]);
    }

    #[test]
    fn a_type_that_says_nothing_is_told_by_the_stream() {
        let mut tables = Tables::default();
        take(&mut tables, 0, &pat(&[(1, 0x20)]));
        take(&mut tables, 0x20, &pmt(1, 7, &[(0x80, 7, &[]), (0x0f, 8, &[]), (0x06, 9, &[])]));
        assert!(tables.is_vague());
        let begin = |pid: u16, start: &[u8]| {
            let mut bytes = packets(pid, &[0; 183])[0];
            bytes[4..4 + start.len()].copy_from_slice(start);
            bytes
        };
        let mpeg2 = [0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, 0, 0, 1, 0xb3, 0x14];
        let data = [0, 0, 1, 0xbd, 0, 0, 0x80, 0, 0, 1, 2, 3];
        for (pid, start) in [(9, &data[..]), (8, &mpeg2), (7, &mpeg2)] {
            tables.recognise(Packet::new(&begin(pid, start)).unwrap());
        }
        let codecs = |tables: &Tables| -> Vec<_> {
            tables.streams().iter().map(|stream| stream.codec).collect()
        };
        let wanted = [Codec::Mpeg2, Codec::Aac, Codec::Unknown(6)];
        assert_eq!(codecs(&tables), wanted);
        assert!(!tables.is_vague());
        // A newer map that says as little changes nothing.
        take(&mut tables, 0x20, &pmt(1, 8, &[(0x80, 7, &[]), (0x0f, 8, &[]), (0x06, 9, &[])]));
        assert_eq!(codecs(&tables), wanted);
    }
}
