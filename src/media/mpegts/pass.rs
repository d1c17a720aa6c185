//! One pass over packets: the tables as they change, the main stream's samples, and of every other
//! stream the times between which it is shown or heard.

use super::es::Sniffer;
use super::packet::{Framing, Packet};
use super::pes::{self, Clock, Reading};
use super::pictures::{Pictures, Unit};
use super::tables::Tables;
use super::walk::Walk;
use crate::media::{Error, Kind, Source};

/// A value of this type is when a stream is shown or heard.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub first: i64,
    pub last: i64,
    /// Where the PES packet of the last time begins.
    pub place: u64,
    /// The longest step from one PES packet to the next, of those that were seen.
    pub step: i64,
    latest: i64,
}

/// A value of this type takes packets in file order and remembers what the whole file needs of them.
#[derive(Clone, Debug)]
pub struct Pass {
    pub tables: Tables,
    /// Of each stream in the tables, by its place there.
    pub times: Vec<Option<Times>>,
    /// Of each program that has had a stamp: its clock.
    pub clocks: Vec<(u16, Clock)>,
    pub main: Option<Pictures>,
    /// The first packet of a known stream that cannot be read because it is scrambled.
    pub scrambled: Option<u64>,
    /// A time near the first packet's: set where the pass begins inside the file.
    pub near: Option<i64>,
    /// More of the file may come; and the step from packet to packet was lost where the pass ended.
    pub growing: bool,
    lost: bool,
}

impl Pass {
    pub fn new(tables: Tables) -> Self {
        let (times, clocks, main, scrambled, near) = Default::default();
        let (growing, lost) = (false, false);
        Pass { tables, times, clocks, main, scrambled, near, growing, lost }
    }

    /// The stream at that place in the tables is the one whose samples are wanted.
    pub fn follow(mut self, place: usize) -> Self {
        self.main = self.tables.streams().get(place).map(|stream| {
            Pictures::new(stream.pid, stream.codec, Sniffer::new(stream.codec), Clock::default())
        });
        self
    }

    /// Walks over the packets that begin in `from..to`; says where it would go on.
    pub fn run(
        &mut self,
        source: &dyn Source,
        framing: Framing,
        (from, to): (u64, u64),
        each: &mut dyn FnMut(Unit),
    ) -> Result<u64, Error> {
        let length = source.length();
        let mut walk = Walk::new(source, framing, from, to, 256 << 10);
        if self.growing {
            walk = walk.growing(self.lost);
        }
        while let Some((at, packet)) = walk.step()? {
            self.take((at, length.min(at + framing.stride)), packet, each);
        }
        self.lost = walk.is_lost();
        Ok(walk.at())
    }

    pub fn take(&mut self, span: (u64, u64), packet: Packet<'_>, each: &mut dyn FnMut(Unit)) {
        let pid = packet.pid();
        let Some(place) = self.tables.place(pid) else {
            if self.tables.take(packet) {
                self.follow_tables(each);
            }
            return;
        };
        if packet.scrambled() {
            self.scrambled.get_or_insert(span.0);
            return;
        }
        if packet.begins() {
            self.stamp(place, span.0, packet);
        }
        let clock = if packet.begins() { self.clock(pid) } else { None };
        if let Some(main) = self.main.as_mut().filter(|main| main.pid == pid) {
            main.clock = clock.unwrap_or(main.clock);
            main.take(span, packet, each);
        }
    }

    /// Every stream of pictures or sound that the tables name was met; with `nameless` also those that may be sound.
    pub fn complete(&self, nameless: bool) -> bool {
        let mut streams = self.tables.streams().iter().enumerate();
        streams.all(|(place, stream)| {
            let met = self.times.get(place).is_some_and(Option::is_some);
            let wanted = stream.codec.kind() != Kind::Other;
            met || !(wanted || nameless && stream.codec.is_nameless())
        })
    }

    /// Every stream that the tables name was met.
    pub fn has_all(&self) -> bool {
        let streams = 0..self.tables.streams().len();
        streams.into_iter().all(|place| self.times.get(place).is_some_and(Option::is_some))
    }

    /// Gives the samples that were still open.
    pub fn finish(&mut self, each: &mut dyn FnMut(Unit)) {
        if let Some(main) = &mut self.main {
            main.finish(each);
        }
    }

    /// The main stream goes on under another PID, or as another codec, where a newer PMT says so.
    fn follow_tables(&mut self, each: &mut dyn FnMut(Unit)) {
        let Some(main) = &mut self.main else { return };
        let pid = self.tables.successor(main.pid).unwrap_or(main.pid);
        let Some(stream) = self.tables.place(pid).and_then(|at| self.tables.streams().get(at))
        else {
            return;
        };
        if (stream.pid, stream.codec) != (main.pid, main.codec) {
            main.finish(each);
            *main = Pictures::new(pid, stream.codec, Sniffer::new(stream.codec), main.clock);
        }
    }

    /// The clock of the first program that has one and this stream.
    pub fn clock(&self, pid: u16) -> Option<Clock> {
        self.tables.programs_of(pid).find_map(|number| {
            self.clocks.iter().find(|(known, _)| *known == number).map(|(_, clock)| *clock)
        })
    }

    /// The same, and it is the clock of all programs with this stream; a first stamp makes it.
    fn clock_from(&mut self, pid: u16, stamp: i64) -> Clock {
        if let Some(clock) = self.clock(pid) {
            return clock;
        }
        let clock = Clock::from(stamp);
        for number in self.tables.programs_of(pid) {
            if self.clocks.iter().all(|(known, _)| *known != number) {
                self.clocks.push((number, clock));
            }
        }
        clock
    }

    fn stamp(&mut self, place: usize, at: u64, packet: Packet<'_>) {
        let Reading::Header(pes::Header { pts: Some(pts), dts, .. }) = pes::read(packet.payload())
        else {
            return;
        };
        let stamp = dts.unwrap_or(pts);
        let clock = self.clock_from(packet.pid(), stamp);
        if self.times.len() <= place {
            self.times.resize(place + 1, None);
        }
        let times = &mut self.times[place];
        let latest = clock.time(stamp, times.map(|times| times.latest).or(self.near));
        let shown = latest + pes::difference(pts, stamp);
        let fresh = Times { first: shown, last: shown, place: at, step: 0, latest };
        let times = times.get_or_insert(fresh);
        let step = latest - times.latest;
        if (1..i64::from(pes::HERTZ)).contains(&step) {
            times.step = times.step.max(step);
        }
        times.latest = latest;
        times.first = times.first.min(shown);
        if shown >= times.last {
            (times.last, times.place) = (shown, at);
        }
    }

    /// Takes over when streams end from a pass that went on further.
    pub fn follow_times(&mut self, further: &Pass) {
        if self.times.len() < further.times.len() {
            self.times.resize(further.times.len(), None);
        }
        for (known, further) in self.times.iter_mut().zip(&further.times) {
            let Some(further) = further else { continue };
            let known = known.get_or_insert(*further);
            if further.last >= known.last {
                (known.last, known.place) = (further.last, further.place);
            }
            known.step = known.step.max(further.step);
        }
    }

    pub fn weight(&self) -> usize {
        self.tables.weight()
            + self.times.capacity() * size_of::<Option<Times>>()
            + self.main.as_ref().map_or(0, Pictures::weight)
    }
}
