//! Looking for a time in a file too large to read: bisection on the decoding times of PES packets, then
//! the few packets around the place. Where time turns out to go back, it says so: see [`Lost`].

use super::around::{Around, Reach};
use super::codec::Codec;
use super::es::Sniffer;
use super::gathered::{Gathered, Run};
use super::memory::{END, Edge, Gap, Known, Memory, Part};
use super::packet::Framing;
use super::pass::Pass;
use super::pes::{self, Clock, Reading};
use super::pictures::{Pictures, Unit};
use super::walk::Walk;
use crate::media::{Error, Source};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes between which bisection ends; half as many are read at once on the way back to a sync sample. Where samples are
/// large it is so many of them, for a probe costs about one.
const CHUNK: u64 = 256 << 10;
const LARGE: u64 = 3;
const MOST: u64 = 2 << 20;
/// One read of a probe.
const BLOCK: usize = 8 << 10;
/// One read of a look at all packets.
const SCAN: usize = 32 << 10;
/// Probes remembered.
const PROBES: usize = 4096;

/// Why a search ended without an answer.
#[derive(Debug)]
pub enum Lost {
    Error(Error),
    /// Time goes back where it must not: only a pass over the whole file can tell.
    Disorder,
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Lost::Error(error)
    }
}

/// A value of this type finds samples in runs.
#[derive(Debug)]
pub struct Search {
    pub framing: Framing,
    pub clock: Clock,
    /// What the stream's sets at the file's beginning have told.
    pub sniffer: Sniffer,
    /// How far decoding times go back from sample to sample though they should not.
    pub jitter: i64,
    /// How long after its decoding a sample is shown, at most.
    pub delay: i64,
    pub runs: Vec<Run<Codec>>,
    /// Places where a sample begins, and its decoding time; for the first run only.
    probes: Mutex<Vec<(u64, i64)>>,
    /// Before this offset there is no sync sample: it was looked for.
    barren: AtomicU64,
    /// See [`CHUNK`].
    chunk: u64,
    memory: Memory,
    /// The first sample, and the first sync sample, once they were asked for.
    first: [OnceLock<Unit>; 2],
}

/// For the same file when it has grown.
impl Clone for Search {
    fn clone(&self) -> Self {
        Search {
            framing: self.framing,
            clock: self.clock,
            sniffer: self.sniffer.clone(),
            jitter: self.jitter,
            delay: self.delay,
            runs: self.runs.clone(),
            probes: Mutex::new(self.probes().clone()),
            barren: AtomicU64::new(self.barren.load(Relaxed)),
            chunk: self.chunk,
            memory: self.memory.before_end(),
            first: Default::default(),
        }
    }
}

/// A value of this type is where samples are gathered from.
#[derive(Clone, Copy, Debug)]
struct Low {
    from: u64,
    /// A time near the first one's.
    decoded: i64,
    /// It is known that a sample begins there.
    sure: bool,
}

/// A value of this type is samples as they are gathered.
struct Taken {
    units: Vec<Unit>,
    /// The first one may be none: it is passed over.
    doubtful: bool,
    passed: bool,
}

impl Taken {
    fn take(&mut self, unit: Unit) {
        match std::mem::take(&mut self.doubtful) {
            true => self.passed = true,
            false => self.units.push(unit),
        }
    }
}

impl Search {
    /// A search over what was gathered; `None` if that was nothing.
    pub fn of(framing: Framing, pass: &Pass, gathered: &Gathered) -> Option<Self> {
        let main = pass.main.as_ref()?;
        let clock = main.clock;
        let (sniffer, barren) = (main.sniffer.clone(), AtomicU64::new(0));
        let (probes, memory, first) = Default::default();
        let (jitter, delay) = (gathered.jitter, gathered.delay);
        let bytes: u64 = gathered.units.iter().map(|unit| unit.end - unit.start).sum();
        let mean = bytes / gathered.units.len().max(1) as u64;
        let chunk = mean.saturating_mul(LARGE).clamp(CHUNK, MOST);
        let coded = |run: &Run| {
            let place = pass.tables.place(run.pid)?;
            Some(run.coded(pass.tables.streams().get(place)?.codec))
        };
        let runs = gathered.runs.iter().map(coded).collect::<Option<_>>()?;
        Some(Search {
            framing,
            clock,
            sniffer,
            jitter,
            delay,
            runs,
            probes,
            barren,
            chunk,
            memory,
            first,
        })
    }

    /// Takes over what was found out about the same file when it was shorter.
    pub fn learn(&mut self, known: &Search) {
        self.memory = known.memory.before_end();
        self.probes().clone_from(&known.probes());
        self.barren.fetch_max(known.barren.load(Relaxed), Relaxed);
    }

    /// The last run ends as it was gathered.
    pub fn end(&mut self, gathered: &Gathered) {
        (self.jitter, self.delay) = (gathered.jitter, gathered.delay);
        if let (Some(run), Some(known)) = (self.runs.last_mut(), gathered.runs.last()) {
            (run.end, run.decoded, run.shown) = (known.end, known.decoded, known.shown);
        }
    }

    /// The first sample that begins in `from..to`, and its stamp.
    pub fn probe(
        &self,
        source: &dyn Source,
        pid: u16,
        (from, to): (u64, u64),
    ) -> Result<Option<(u64, i64)>, Error> {
        // Where a sample is sent again it begins, too, as far as its stamp tells; and a probe reads no more than it must.
        let walk = Walk::new(source, self.framing, from, to, BLOCK).anywhere();
        let mut walk = walk.with_duplicates();
        while let Some((at, packet)) = walk.step()? {
            if packet.pid() == pid
                && packet.begins()
                && !packet.scrambled()
                && let Reading::Header(header) = pes::read(packet.payload())
                && let Some(stamp) = header.dts.or(header.pts)
            {
                return Ok(Some((at, stamp)));
            }
        }
        Ok(None)
    }

    fn align(&self, run: &Run<Codec>, at: u64) -> u64 {
        let stride = self.framing.stride;
        run.start + at.saturating_sub(run.start) / stride * stride
    }

    /// A place from which on the samples are looked at to come to the time: the first one is decoded at or before it. `gap` is what
    /// is known around it. Not `close` by, it may lie farther before the time than it seems.
    fn locate(
        &self,
        source: &dyn Source,
        run: &Run<Codec>,
        gap: Gap,
        time: i64,
        close: bool,
    ) -> Result<Low, Lost> {
        let known = self.runs.first().is_some_and(|first| first.start == run.start);
        let (mut low, mut high) = ((run.start, run.decoded.0), (run.end, run.decoded.1 + 1));
        let farther = |low: (u64, i64)| gap.low.filter(|known| known.0 >= low.0).unwrap_or(low);
        let begin = |low: (u64, i64)| Low {
            from: low.0,
            decoded: low.1,
            sure: low.0 <= run.start || gap.low == Some(low),
        };
        if time >= high.1 {
            // Nothing is decoded later: go back from the end.
            let from = self.align(run, run.end.saturating_sub(self.chunk).max(run.start));
            return Ok(begin(farther((from, run.decoded.1))));
        }
        if known {
            let probes = self.probes();
            let past = probes.partition_point(|&(_, decoded)| decoded <= time);
            low = past.checked_sub(1).and_then(|at| probes.get(at).copied()).unwrap_or(low);
            high = probes.get(past).copied().unwrap_or(high);
        }
        low = farther(low);
        let edge = gap.high.map(|edge| (edge.from, edge.next));
        high = edge.filter(|edge| edge.0 < high.0).unwrap_or(high);
        // By the slope, a little before the place and a little past it in turn, so that both ends close in;
        // by halves where that doesn't: slopes may mislead.
        let (mut round, mut margin, mut past) = (0u32, self.chunk / 2, false);
        while high.0.saturating_sub(low.0) > self.chunk {
            let width = high.0 - low.0;
            round += 1;
            let part = (time - low.1).max(0) as u128 * u128::from(width);
            let slope = (part / (high.1 - low.1).max(1) as u128) as u64;
            if slope <= self.chunk && !close {
                break;
            }
            let ahead = match (round % 8, past) {
                (0, _) => width / 2,
                (_, true) => slope.saturating_add(margin),
                (_, false) => slope.saturating_sub(margin),
            };
            let ahead = ahead.clamp(self.chunk / 4, width - self.chunk / 4);
            let at = self.align(run, low.0 + ahead);
            let Some((place, stamp)) = self.probe(source, run.pid, (at, high.0))? else {
                (high.0, past) = (at, false);
                continue;
            };
            let decoded = self.clock.time(stamp, Some(low.1));
            // Over more than ten minutes the turn is not known from the one before alone.
            let decoded = if decoded < low.1 - self.jitter { decoded + pes::WRAP } else { decoded };
            if decoded > high.1.saturating_add(self.jitter) {
                return Err(Lost::Disorder);
            }
            if known {
                self.remember(place, decoded);
            }
            let early = decoded <= time;
            margin = if early == past { margin.saturating_mul(4) } else { self.chunk / 2 };
            past = early;
            if early {
                low = (place, decoded);
            } else {
                high = (at, decoded);
            }
        }
        Ok(begin(low))
    }

    pub fn remember(&self, place: u64, decoded: i64) {
        let mut probes = self.probes();
        let at = probes.partition_point(|&(other, _)| other < place);
        let before = at.checked_sub(1).and_then(|at| probes.get(at));
        let rises = before.is_none_or(|&(_, time)| time <= decoded)
            && probes.get(at).is_none_or(|&(other, time)| other > place && time >= decoded);
        if rises && probes.len() < PROBES {
            probes.insert(at, (place, decoded));
        }
    }

    /// What looks at the pictures of a run from inside the file on; a time near the first one's.
    fn pictures(&self, run: &Run<Codec>, near: i64) -> Pictures {
        let known = self.runs.first().is_some_and(|first| first.codec == run.codec);
        let sniffer = if known { self.sniffer.parted() } else { Sniffer::new(run.codec) };
        Pictures::new(run.pid, run.codec, sniffer, self.clock).after(near)
    }

    fn walk<'s>(
        &self,
        source: &'s dyn Source,
        run: &Run<Codec>,
        (from, to): (u64, u64),
    ) -> Walk<'s> {
        let walk = Walk::new(source, self.framing, from, to, SCAN);
        if from > run.start { walk.anywhere() } else { walk }
    }

    /// Gives the samples that begin at `from` or after, until `each` says that it has enough.
    fn scan(
        &self,
        source: &dyn Source,
        run: &Run<Codec>,
        from: (u64, i64),
        each: &mut dyn FnMut(Unit) -> bool,
    ) -> Result<(), Error> {
        let mut pictures = self.pictures(run, from.1);
        let mut walk = self.walk(source, run, (from.0, run.end));
        let (mut more, length) = (true, source.length());
        while let Some((at, packet)) = walk.step()? {
            if packet.pid() == run.pid {
                let span = (at, length.min(at + self.framing.stride));
                pictures.take(span, packet, &mut |unit| more = more && each(unit));
                if !more {
                    return Ok(());
                }
            }
        }
        pictures.finish(&mut |unit| more = more && each(unit));
        Ok(())
    }

    /// Every sample that begins in `from..to`, or up to one of which `stop` says that it isn't wanted any more; `edge` is what comes
    /// after.
    fn gather(
        &self,
        source: &dyn Source,
        run: &Run<Codec>,
        Low { from, decoded, sure }: Low,
        edge: Edge,
        stop: &dyn Fn(Unit) -> bool,
    ) -> Result<Part, Error> {
        let mut pictures = self.pictures(run, decoded);
        let Edge { from: end, next, stray } = edge;
        // A field at the beginning may be a second one: what comes before tells.
        let doubtful = self.sniffer.has_fields() && !sure;
        let mut taken = Taken { units: Vec::new(), doubtful, passed: false };
        let mut walk = self.walk(source, run, (from, end));
        let length = source.length();
        let mut reached = None;
        while let Some((at, packet)) = walk.step()? {
            if packet.pid() != run.pid {
                continue;
            }
            let span = (at, length.min(at + self.framing.stride));
            pictures.take(span, packet, &mut |unit| taken.take(unit));
            reached =
                pictures.begun().filter(|&unit| unit.start > from && !taken.doubtful && stop(unit));
            if reached.is_some() {
                break;
            }
        }
        let (to, next) = match reached {
            Some(unit) => (unit.start, unit.decoded),
            None => (end, next),
        };
        if reached.is_none() {
            let whole = end >= run.end;
            // The last one may not be understood yet.
            let mut walk = Walk::new(source, self.framing, walk.at(), run.end, 0);
            while !whole
                && pictures.is_young()
                && let Some((at, packet)) = walk.step()?
            {
                if packet.pid() == run.pid {
                    if packet.begins() {
                        break;
                    }
                    let span = (at, length.min(at + self.framing.stride));
                    pictures.take(span, packet, &mut |unit| taken.take(unit));
                }
            }
            match pictures.open(&mut |unit| taken.take(unit)) {
                Some(open) => taken.take(Unit { end: open.end.max(stray), ..open }),
                None => pictures.stray = pictures.stray.max(stray),
            }
        }
        let Taken { units, passed, .. } = taken;
        let (from, stray) = match (passed, units.first(), reached) {
            (false, ..) => (from, pictures.stray),
            (true, Some(first), _) => (first.start, 0),
            (true, None, Some(_)) => (to, 0),
            (true, None, None) => (end, stray),
        };
        Ok(Part { from, to, next, stray, units })
    }

    /// The samples that matter for a time, in one run: back from the place of that time to a sync sample.
    fn around(
        &self,
        source: &dyn Source,
        run: &Run<Codec>,
        time: i64,
        floor: i64,
    ) -> Result<Around, Lost> {
        let mut around = Around::new(time, floor);
        let reach = Reach {
            slack: self.delay.saturating_add(self.jitter),
            shuffled: matches!(run.codec, Codec::Video(_)),
            barren: self.barren.load(Relaxed),
        };
        let limit = time.saturating_add(self.jitter);
        let mut syncs = u64::MAX;
        let mut see = |unit: Unit| {
            if unit.sync {
                syncs = syncs.min(unit.start);
            }
            around.back(unit, reach)
        };
        let Known { mut enough, mut edge, top } = self.onward(source, run, limit, &mut see)?;
        let mut step = self.chunk / 2;
        while !enough && edge.from > run.start {
            let known = match self.memory.before(run, edge.from, &mut see) {
                Ok(known) => known,
                Err(bottom) => {
                    let from = self.align(run, edge.from.saturating_sub(step).max(run.start));
                    let decoded = if edge.next == END { run.decoded.1 } else { edge.next };
                    let low = Low { from: from.max(bottom), decoded, sure: from <= bottom };
                    let part = self.gather(source, run, low, edge, &|_| false)?;
                    self.memory.keep(run, &part);
                    part.back(&mut see)
                }
            };
            enough = known.enough;
            // A look that tells nothing begins farther back.
            step =
                if known.edge.from < edge.from { self.chunk / 2 } else { step.saturating_mul(2) };
            edge = known.edge;
        }
        if around.sync.is_none() && run.start <= reach.barren {
            self.barren.fetch_max(syncs.min(top), Relaxed);
        }
        Ok(around)
    }

    /// Goes back over samples from the first that is decoded after `limit`.
    fn onward(
        &self,
        source: &dyn Source,
        run: &Run<Codec>,
        limit: i64,
        see: &mut impl FnMut(Unit) -> bool,
    ) -> Result<Known, Lost> {
        let end = Edge { from: run.end, next: END, stray: 0 };
        for close in [false, true] {
            let gap = match self.memory.around(run, limit, see) {
                Ok(known) => return Ok(known),
                Err(gap) => gap,
            };
            let low = self.locate(source, run, gap, limit, close)?;
            // So far it may turn out to be.
            let reach = if close { u64::MAX } else { low.from.saturating_add(2 * self.chunk) };
            let stop = |unit: Unit| unit.decoded > limit || unit.start > reach;
            let part = self.gather(source, run, low, gap.high.unwrap_or(end), &stop)?;
            self.memory.keep(run, &part);
            if part.next > limit || close {
                return Ok(part.back(see));
            }
        }
        Ok(Known { enough: false, edge: end, top: run.end })
    }

    /// The samples that matter for a time.
    pub fn find(&self, source: &dyn Source, time: i64, floor: i64) -> Result<Around, Lost> {
        let reach = |run: &Run<Codec>| run.shown.1.min(time);
        let mut runs: Vec<&Run<Codec>> =
            self.runs.iter().filter(|run| run.shown.0 <= time).collect();
        runs.sort_by_key(|run| (std::cmp::Reverse(reach(run)), std::cmp::Reverse(run.start)));
        let mut around = Around::new(time, floor);
        for run in runs {
            let done = |unit: Option<Unit>| unit.is_some_and(|unit| unit.shown >= reach(run));
            if done(around.frame) && done(around.sync) {
                break;
            }
            let here = self.around(source, run, time, floor)?;
            for unit in [here.frame, here.sync, here.last].into_iter().flatten() {
                around.see(unit);
            }
        }
        Ok(around)
    }

    /// The first sync sample of all, or the first sample of all.
    pub fn first(&self, source: &dyn Source, sync: bool) -> Result<Option<Unit>, Error> {
        let known = &self.first[usize::from(sync)];
        if let Some(&found) = known.get() {
            return Ok(Some(found));
        }
        let found = self.look_for_first(source, sync)?;
        Ok(found.map(|found| *known.get_or_init(|| found)))
    }

    fn look_for_first(&self, source: &dyn Source, sync: bool) -> Result<Option<Unit>, Error> {
        let mut found: Option<Unit> = None;
        for run in &self.runs {
            if found.is_some_and(|found| found.shown <= run.shown.0) {
                continue;
            }
            let mut met = false;
            let (near, end) = (run.decoded.0, run.end);
            let barren = if sync { self.barren.load(Relaxed).min(end) } else { 0 };
            let start = self.align(run, barren.max(run.start));
            self.scan(source, run, (start, near), &mut |unit| {
                if unit.sync || !sync {
                    if found.is_none_or(|found| unit.shown < found.shown) {
                        found = Some(unit);
                    }
                    met = true;
                }
                // Later ones are decoded, and so shown, after it.
                !(found.is_some_and(|found| unit.decoded > found.shown) || sync && met)
            })?;
            if sync && !met && run.start <= self.barren.load(Relaxed) {
                self.barren.fetch_max(end, Relaxed);
            }
        }
        Ok(found)
    }

    /// Up to `most` sync samples shown at or after a time, in presentation order.
    pub fn syncs(&self, source: &dyn Source, from: i64, most: usize) -> Result<Vec<Unit>, Lost> {
        let mut found = Vec::new();
        for run in self.runs.iter().filter(|run| run.shown.1 >= from) {
            let mut left = most;
            let gap = Gap { low: None, high: None };
            let low = self.locate(source, run, gap, from.saturating_sub(self.delay + 1), true)?;
            if left > 0 {
                self.scan(source, run, (low.from, low.decoded), &mut |unit| {
                    if unit.sync && unit.shown >= from {
                        found.push(unit);
                        left -= 1;
                    }
                    left > 0
                })?;
            }
            found.sort_by_key(|unit| (unit.shown, unit.start));
            found.truncate(most);
        }
        Ok(found)
    }

    fn probes(&self) -> MutexGuard<'_, Vec<(u64, i64)>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn weight(&self) -> usize {
        let probes = self.probes();
        let runs = self.runs.capacity() * size_of::<Run<Codec>>();
        runs + probes.capacity() * 16 + self.sniffer.weight() + self.memory.weight()
    }
}
