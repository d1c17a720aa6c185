//! What the tests of this folder build streams with.

use super::section::checksum;
use std::collections::BTreeMap;
use std::ops::Range;

/// Packets of one PID with this section.
pub fn packets(pid: u16, section: &[u8]) -> Vec<[u8; 188]> {
    let mut mux = Mux::new(188);
    mux.section(pid, section);
    mux.bytes.as_chunks().0.to_vec()
}

fn section(table: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 9) as u16;
    let [high, low] = length.to_be_bytes();
    let [n1, n0] = number.to_be_bytes();
    let mut bytes = vec![table, 0xb0 | high, low, n1, n0, 0xc1, 0, 0];
    bytes.extend_from_slice(body);
    let crc = checksum(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

pub fn pat(programs: &[(u16, u16)]) -> Vec<u8> {
    let entry =
        |&(number, pid): &(u16, u16)| [number.to_be_bytes(), (pid | 0xe000).to_be_bytes()].concat();
    section(0, 1, &programs.iter().flat_map(entry).collect::<Vec<_>>())
}

pub fn pmt(number: u16, clock: u16, streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let mut body = (clock | 0xe000).to_be_bytes().to_vec();
    body.extend([0xf0, 0]);
    for (kind, pid, descriptors) in streams {
        body.push(*kind);
        body.extend((pid | 0xe000).to_be_bytes());
        body.extend((descriptors.len() as u16 | 0xf000).to_be_bytes());
        body.extend_from_slice(descriptors);
    }
    section(2, number, &body)
}

/// A PES packet's header with these stamps.
pub fn header(stream_id: u8, pts: Option<i64>, dts: Option<i64>) -> Vec<u8> {
    let stamp = |mark: u8, time: i64| {
        let t = time.rem_euclid(1 << 33) as u64;
        let a = mark << 4 | (t >> 29) as u8 & 0x0e | 1;
        [a, (t >> 22) as u8, (t >> 14) as u8 | 1, (t >> 7) as u8, (t << 1) as u8 | 1]
    };
    let mut bytes = vec![0, 0, 1, stream_id, 0, 0, 0x80, 0, 0];
    if let Some(pts) = pts {
        (bytes[7], bytes[8]) = (0x80, 5);
        bytes.extend(stamp(2 + u8::from(dts.is_some()), pts));
    }
    if let Some(dts) = dts {
        (bytes[7], bytes[8]) = (0xc0, 10);
        bytes.extend(stamp(1, dts));
    }
    bytes
}

/// A value of this type writes packets.
pub struct Mux {
    pub bytes: Vec<u8>,
    stride: usize,
    counters: BTreeMap<u16, u8>,
}

impl Mux {
    pub fn new(stride: usize) -> Self {
        Mux { bytes: Vec::new(), stride, counters: BTreeMap::new() }
    }

    pub fn at(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// One packet; a short payload is filled up in the adaptation field.
    pub fn packet(&mut self, pid: u16, begins: bool, payload: &[u8]) {
        assert!(payload.len() <= 184);
        let counter = self.counters.entry(pid).or_insert(15);
        *counter = (*counter + 1) & 15;
        let [high, low] = pid.to_be_bytes();
        let fill = 184 - payload.len();
        let head = [0x47, high | if begins { 0x40 } else { 0 }, low];
        if self.stride == 192 {
            self.bytes.extend([0; 4]);
        }
        self.bytes.extend(head);
        self.bytes.push(*counter | if fill > 0 { 0x30 } else { 0x10 });
        if fill > 0 {
            self.bytes.push((fill - 1) as u8);
            self.bytes.extend([0].iter().chain(&[0xff; 183]).take(fill - 1));
        }
        self.bytes.extend_from_slice(payload);
        self.bytes.extend(vec![0; if self.stride == 204 { 16 } else { 0 }]);
    }

    pub fn section(&mut self, pid: u16, section: &[u8]) {
        let mut bytes = [&[0], section].concat();
        bytes.resize(bytes.len().next_multiple_of(184), 0xff);
        for (k, chunk) in bytes.chunks(184).enumerate() {
            self.packet(pid, k == 0, chunk);
        }
    }

    /// The tables of one program: PMT on PID 0x20.
    pub fn tables(&mut self, streams: &[(u8, u16, &[u8])]) {
        self.section(0, &pat(&[(1, 0x20)]));
        self.section(0x20, &pmt(1, 0x100, streams));
    }

    /// A PES packet; where it lies.
    pub fn pes(&mut self, pid: u16, pts: Option<i64>, dts: Option<i64>, body: &[u8]) -> Range<u64> {
        let id = if pid == SOUND { 0xc0 } else { 0xe0 };
        let from = self.at();
        let bytes = [&header(id, pts, dts), body].concat();
        for (k, chunk) in bytes.chunks(184).enumerate() {
            self.packet(pid, k == 0, chunk);
        }
        from..self.at()
    }
}

pub const PICTURES: u16 = 0x100;
pub const SOUND: u16 = 0x101;

/// An H.264 picture of about this many bytes.
pub fn picture(sync: bool, size: usize) -> Vec<u8> {
    let kind = if sync { 0x65 } else { 0x41 };
    let mut bytes = vec![0, 0, 0, 1, 9, 0xf0, 0, 0, 1, kind, 0x88, 0x84];
    bytes.resize(size.max(12), 0x55);
    bytes
}

/// A value of this type is a sample as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub shown: i64,
    pub sync: bool,
    pub span: Range<u64>,
}

/// A film of groups of twelve pictures, open after the first: I B B P B B P .. in presentation order, with
/// a sound packet after every picture; its first picture is shown at `first`.
pub fn film(mux: &mut Mux, first: i64, step: i64, pictures: usize, size: usize) -> Vec<Written> {
    let mut written = Vec::new();
    for k in 0..pictures as i64 {
        if k % 12 == 0 {
            mux.tables(&[(0x1b, PICTURES, &[]), (0x0f, SOUND, &[])]);
        }
        // The first picture is shown at once; of three that follow the last is shown first.
        let place = if k == 0 { 0 } else { (k - 1) / 3 * 3 + [3, 1, 2][((k - 1) % 3) as usize] };
        let (shown, decoded) = (first + place * step, first + (k - 2) * step);
        let sync = place % 12 == 0;
        let body = picture(sync, size * if sync { 4 } else { 1 });
        let dts = (shown != decoded).then_some(decoded);
        let span = mux.pes(PICTURES, Some(shown), dts, &body);
        mux.pes(SOUND, Some(shown), None, &[0xff, 0xf1, 0x50, 0x80, 0x01, 0x7f, 0xfc, 0, 0, 0, 0]);
        written.push(Written { shown, sync, span });
    }
    written
}

/// A film of MPEG-2 in groups of twelve pictures, each of two fields with a PES packet and a time of its own.
pub fn fields(mux: &mut Mux, first: i64, step: i64, pictures: usize) -> Vec<Written> {
    mux.tables(&[(0x02, PICTURES, &[])]);
    let field = |number: i64, kind: u8, parity: u8| {
        let [high, low] = ((number as u16) << 6 | u16::from(kind) << 3).to_be_bytes();
        let mut body = vec![0, 0, 1, 0, high, low, 0, 0, 0, 1, 0xb5, 0x8f, 0xff, 0xf0 | parity, 0];
        body.extend([0, 0, 1, 1]);
        body.resize(9000, 0x55);
        body
    };
    let pictures = (0..pictures as i64).map(|k| {
        let (shown, sync) = (first + k * step, k % 12 == 0);
        let body = field(k % 12, if sync { 1 } else { 2 }, 1);
        let start = mux.pes(PICTURES, Some(shown), None, &body).start;
        // Its second field is an I field as well as a P field may be.
        let end = mux.pes(PICTURES, Some(shown + step / 2), None, &field(k % 12, 1, 2)).end;
        Written { shown, sync, span: start..end }
    });
    pictures.collect()
}

/// A value of this type is a film some of whose packets are sent twice in a row.
pub struct Twice {
    pub bytes: Vec<u8>,
    stride: u64,
    /// Where each packet lies now, by its place before.
    places: Vec<u64>,
}

/// Sends one packet of so many again, at places that are no pattern.
pub fn twice(film: &[u8], stride: usize, of: u64) -> Twice {
    let (mut bytes, mut places, mut state) = (Vec::new(), Vec::new(), 1u64);
    for packet in film.chunks(stride) {
        places.push(bytes.len() as u64);
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let again = if (state >> 33).is_multiple_of(of) { packet } else { &[] };
        bytes.extend([packet, again].concat());
    }
    Twice { bytes, stride: stride as u64, places }
}

impl Twice {
    /// Where a packet lies that lay there before.
    pub fn place(&self, at: u64) -> u64 {
        self.places[(at / self.stride) as usize]
    }

    pub fn span(&self, span: &Range<u64>) -> Range<u64> {
        self.place(span.start)..self.place(span.end - self.stride) + self.stride
    }
}
