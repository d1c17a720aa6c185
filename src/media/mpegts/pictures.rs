//! From packets to samples: one PES packet that bears a presentation time is one sample. PES packets
//! without a time, and second fields that have no place of their own, belong to the sample before.

use super::codec::Codec;
use super::es::{self, Part, Picture, Sniffer};
use super::packet::Packet;
use super::pes::{self, Clock, Reading};

/// A value of this type is one sample of a stream, with times on the file's unwrapped 90 kHz clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The packet that starts the PES.
    pub start: u64,
    /// The end of the last packet that bears bytes of it.
    pub end: u64,
    pub shown: i64,
    pub decoded: i64,
    pub sync: bool,
    /// The second field of a frame: a sample, but not a frame more.
    pub second: bool,
    pub pid: u16,
}

#[derive(Clone, Debug)]
struct Young {
    start: u64,
    end: u64,
    hint: bool,
    header: Option<pes::Header>,
}

/// A value of this type makes samples of one PID's packets.
#[derive(Clone, Debug)]
pub struct Pictures {
    pub pid: u16,
    pub codec: Codec,
    pub sniffer: Sniffer,
    pub clock: Clock,
    /// The sample whose bytes still come.
    open: Option<Unit>,
    /// The PES packet that is not understood yet, and its bytes so far.
    young: Option<Young>,
    bytes: Vec<u8>,
    last: Option<i64>,
    /// Where the last packet ended that belongs to a sample which began before the first packet seen.
    pub stray: u64,
}

impl Pictures {
    pub fn new(pid: u16, codec: Codec, sniffer: Sniffer, clock: Clock) -> Self {
        let (open, young, bytes, last) = Default::default();
        Pictures { pid, codec, sniffer, clock, open, young, bytes, last, stray: 0 }
    }

    /// Times go on from this one: set where packets before were not seen.
    pub fn after(mut self, time: i64) -> Self {
        self.last = Some(time);
        self
    }

    /// Takes a packet of this PID that lies in `start..end`; gives each sample that it completes.
    pub fn take(
        &mut self,
        (start, end): (u64, u64),
        packet: Packet<'_>,
        each: &mut dyn FnMut(Unit),
    ) {
        let payload = packet.payload();
        if packet.scrambled() || payload.is_empty() {
            return;
        }
        if packet.begins() {
            self.settle(true, each);
            self.bytes.clear();
            self.young = Some(Young { start, end, hint: packet.random_access(), header: None });
        }
        match &mut self.young {
            Some(young) => {
                young.end = end;
                self.bytes.extend_from_slice(payload);
                self.settle(false, each);
            }
            None => self.extend(end),
        }
    }

    /// A PES packet has begun that is not understood yet.
    pub fn is_young(&self) -> bool {
        self.young.is_some()
    }

    /// The sample whose bytes still come.
    pub fn begun(&self) -> Option<Unit> {
        self.open
    }

    /// The sample that was open when the packets ended, if it isn't wanted from [`finish`](Self::finish).
    pub fn open(&mut self, each: &mut dyn FnMut(Unit)) -> Option<Unit> {
        self.settle(true, each);
        self.open.take()
    }

    /// No more packets: gives what is left.
    pub fn finish(&mut self, each: &mut dyn FnMut(Unit)) {
        if let Some(open) = self.open(each) {
            each(open);
        }
    }

    fn extend(&mut self, end: u64) {
        match &mut self.open {
            Some(open) => open.end = open.end.max(end),
            None => self.stray = self.stray.max(end),
        }
    }

    /// Tries to understand the young PES packet; `whole` if it has all its bytes.
    fn settle(&mut self, whole: bool, each: &mut dyn FnMut(Unit)) {
        let Some(young) = &mut self.young else { return };
        let (start, end) = (young.start, young.end);
        let header = match young.header {
            Some(header) => header,
            None => match pes::read(&self.bytes) {
                Reading::Short if !whole => return,
                Reading::Short | Reading::Not => {
                    self.young = None;
                    return;
                }
                Reading::Header(header) => {
                    young.header = Some(header);
                    self.sniffer.begin(young.hint);
                    header
                }
            },
        };
        let body = self.bytes.get(header.body..).unwrap_or(&[]);
        let Some(stamp) = header.pts else {
            self.young = None;
            return self.extend(end);
        };
        if body.is_empty() {
            if whole {
                self.young = None;
                self.extend(end);
            }
            return;
        }
        let seen = match header.scrambled {
            true => Some(Picture { sync: young.hint, part: Part::Whole }),
            false => self.sniffer.look(body, whole),
        };
        let Some(picture) = seen else { return };
        self.young = None;
        if picture.part == Part::Rest {
            return self.extend(end);
        }
        let decoded = self.clock.time(header.dts.unwrap_or(stamp), self.last);
        let delay = header.dts.map_or(0, |dts| pes::difference(stamp, dts));
        self.last = Some(decoded);
        let second = picture.part == Part::SecondField;
        let (shown, sync) = (decoded + delay, picture.sync);
        let unit = Unit { start, end, shown, decoded, sync, second, pid: self.pid };
        if let Some(before) = self.open.replace(unit) {
            each(before);
        }
    }

    pub fn weight(&self) -> usize {
        self.bytes.capacity().min(2 * es::LONGEST) + size_of::<Self>()
    }
}
