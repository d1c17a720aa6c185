//! Looking for a time in a file too large to read: bisection on the decoding times of PES packets, then
//! the few packets around the place. Where time turns out to go back, it says so: see [`Lost`].

use super::es::Sniffer;
use super::gathered::{Gathered, Run};
use super::packet::Framing;
use super::pass::Pass;
use super::pes::{self, Clock, Reading};
use super::pictures::{Pictures, Unit};
use super::walk::Walk;
use crate::media::{Error, Source};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes between which bisection ends, and in which a search goes back to a sync sample.
const CHUNK: u64 = 256 << 10;
/// One read of a probe.
const BLOCK: usize = 16 << 10;
/// One read of a look at all packets.
const SCAN: usize = 64 << 10;
/// The end of a sample whose last packet was not met; see [`Search::close`].
const UNKNOWN: u64 = 0;
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
    pub runs: Vec<Run>,
    /// Places where a sample begins, and its decoding time; for the first run only.
    probes: Mutex<Vec<(u64, i64)>>,
    /// Before this offset there is no sync sample: it was looked for.
    barren: AtomicU64,
}

/// A value of this type gathers the samples that matter for one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    /// Greatest presentation time at or before the time.
    pub frame: Option<Unit>,
    pub sync: Option<Unit>,
    /// The last one in the file that is shown at or before the time, and not before `floor`.
    pub last: Option<Unit>,
    floor: i64,
}

impl Around {
    fn see(&mut self, unit: Unit, time: i64) {
        let later = |than: Option<Unit>| {
            than.is_none_or(|than| (unit.shown, unit.start) >= (than.shown, than.start))
        };
        if unit.shown > time {
            return;
        }
        if later(self.frame) {
            self.frame = Some(unit);
        }
        if unit.sync && later(self.sync) {
            self.sync = Some(unit);
        }
        if unit.shown >= self.floor && self.last.is_none_or(|last| unit.start >= last.start) {
            self.last = Some(unit);
        }
    }
}

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
        }
    }
}

impl Search {
    /// A search over what was gathered; `None` if that was nothing.
    pub fn of(framing: Framing, pass: &Pass, gathered: &Gathered) -> Option<Self> {
        let main = pass.main.as_ref()?;
        let clock = main.clock;
        let (sniffer, probes, barren) = (main.sniffer.clone(), Mutex::default(), AtomicU64::new(0));
        let (jitter, delay) = (gathered.jitter, gathered.delay);
        let mut runs = gathered.runs.clone();
        for run in &mut runs {
            let place = pass.tables.place(run.pid)?;
            run.codec = pass.tables.streams().get(place)?.codec;
        }
        Some(Search { framing, clock, sniffer, jitter, delay, runs, probes, barren })
    }

    /// Takes over what was found out about the same file when it was shorter.
    pub fn learn(&self, known: &Search) {
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
        let mut walk = Walk::new(source, self.framing, from, to, BLOCK).anywhere();
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

    fn align(&self, run: &Run, at: u64) -> u64 {
        let stride = self.framing.stride;
        run.start + at.saturating_sub(run.start) / stride * stride
    }

    /// Places around the time: samples that begin before the first are decoded at or before it, those that
    /// begin at or after the second are decoded after it.
    fn locate(&self, source: &dyn Source, run: &Run, time: i64) -> Result<((u64, i64), u64), Lost> {
        let known = self.runs.first().is_some_and(|first| first.start == run.start);
        let (mut low, mut high) = ((run.start, run.decoded.0), (run.end, run.decoded.1 + 1));
        if time >= high.1 {
            // Nothing is decoded later: go back from the end.
            low.0 = self.align(run, run.end.saturating_sub(CHUNK).max(run.start));
            return Ok(((low.0, run.decoded.1), run.end));
        }
        if known {
            let probes = self.probes();
            let past = probes.partition_point(|&(_, decoded)| decoded <= time);
            low = past.checked_sub(1).and_then(|at| probes.get(at).copied()).unwrap_or(low);
            high = probes.get(past).copied().unwrap_or(high);
        }
        // By the slope, a little past the place and a little before it in turn, so that both ends close in;
        // by halves where that doesn't: slopes may mislead.
        let (mut round, mut margin, mut past) = (0u32, CHUNK / 2, false);
        while high.0 - low.0 > CHUNK {
            let width = high.0 - low.0;
            round += 1;
            let part = (time - low.1).max(0) as u128 * u128::from(width);
            let slope = (part / (high.1 - low.1).max(1) as u128) as u64;
            let ahead = match (round % 8, past) {
                (0, _) => width / 2,
                (_, true) => slope.saturating_add(margin),
                (_, false) => slope.saturating_sub(margin),
            };
            let ahead = ahead.clamp(CHUNK / 4, width - CHUNK / 4);
            let at = self.align(run, low.0 + ahead);
            let Some((place, stamp)) = self.probe(source, run.pid, (at, high.0))? else {
                (high.0, past) = (at, false);
                continue;
            };
            let decoded = self.clock.time(stamp, Some(low.1));
            // Over more than ten minutes the turn is not known from the one before alone.
            let decoded = if decoded < low.1 - self.jitter { decoded + pes::WRAP } else { decoded };
            if decoded > high.1 + self.jitter {
                return Err(Lost::Disorder);
            }
            if known {
                self.remember(place, decoded);
            }
            let early = decoded <= time;
            margin = if early == past { margin.saturating_mul(4) } else { CHUNK / 2 };
            past = early;
            if early {
                low = (place, decoded);
            } else {
                high = (at, decoded);
            }
        }
        Ok((low, high.0))
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

    /// Gives the samples that begin in `from..to`, until `each` says that it has enough. Returns where the
    /// sample ends that began before, and the last sample if packets past `to` may belong to it.
    fn scan(
        &self,
        source: &dyn Source,
        run: &Run,
        (from, to): (u64, u64),
        near: i64,
        each: &mut dyn FnMut(Unit) -> bool,
    ) -> Result<(u64, Option<Unit>), Error> {
        let known = self.runs.first().is_some_and(|first| first.codec == run.codec);
        let sniffer = if known { self.sniffer.clone() } else { Sniffer::new(run.codec) };
        let mut pictures = Pictures::new(run.pid, run.codec, sniffer, self.clock).after(near);
        let mut walk = Walk::new(source, self.framing, from, run.end, SCAN).mostly_to(to);
        if from > run.start {
            walk = walk.anywhere();
        }
        let mut more = true;
        let length = source.length();
        while let Some((at, packet)) = walk.step()? {
            if at >= to && (!pictures.is_young() || packet.pid() == run.pid && packet.begins()) {
                let stray = pictures.stray;
                return Ok((stray, pictures.open(&mut |unit| more = more && each(unit))));
            }
            if packet.pid() == run.pid {
                let span = (at, length.min(at + self.framing.stride));
                pictures.take(span, packet, &mut |unit| more &= each(unit));
                if !more {
                    return Ok((pictures.stray, None));
                }
            }
        }
        pictures.finish(&mut |unit| more = more && each(unit));
        Ok((pictures.stray, None))
    }

    /// The samples that matter for a time, in one run: back from the place of that time to a sync sample.
    fn around(
        &self,
        source: &dyn Source,
        run: &Run,
        time: i64,
        floor: i64,
    ) -> Result<Around, Lost> {
        let (low, top) = self.locate(source, run, time.saturating_add(self.jitter))?;
        let ((mut from, mut near), mut to) = (low, top);
        let mut around = Around { floor, ..Around::default() };
        let (mut barren, mut tail) = (top, None);
        loop {
            // A field at a chunk's beginning may be a second one: the chunk before tells.
            let mut doubtful = self.sniffer.has_fields() && from > run.start;
            let (mut first, mut passed) = (None, false);
            let mut see = |unit: Unit| {
                if std::mem::take(&mut doubtful) {
                    passed = true;
                    return true;
                }
                first.get_or_insert((unit.start, unit.decoded));
                around.see(unit, time);
                if unit.sync {
                    barren = barren.min(unit.start);
                }
                true
            };
            let (stray, open) = self.scan(source, run, (from, to), near, &mut see)?;
            if let Some(open) = open {
                // What follows was seen before, unless this is the first look.
                let end = tail.map_or(UNKNOWN, |tail: u64| tail.max(open.end));
                see(Unit { end, ..open });
            }
            tail = match (first, passed, tail) {
                (_, true, _) => None,
                (None, false, None) => None,
                (None, false, Some(tail)) => Some(tail.max(stray)),
                (Some(_), false, _) => Some(stray),
            };
            if around.sync.is_some() {
                return Ok(around);
            }
            match first {
                Some((start, decoded)) => (to, near) = (start, decoded),
                None if passed => {}
                None => to = from,
            }
            let known = self.barren.load(Relaxed);
            if from <= run.start || to <= known && around.frame.is_some() {
                if run.start <= known {
                    self.barren.fetch_max(barren, Relaxed);
                }
                return Ok(around);
            }
            from = self.align(run, from.saturating_sub(CHUNK).max(run.start));
        }
    }

    /// The samples that matter for a time; their ends may not be known yet: see [`close`](Self::close).
    pub fn find(&self, source: &dyn Source, time: i64, floor: i64) -> Result<Around, Lost> {
        let reach = |run: &Run| run.shown.1.min(time);
        let mut runs: Vec<&Run> = self.runs.iter().filter(|run| run.shown.0 <= time).collect();
        runs.sort_by_key(|run| (std::cmp::Reverse(reach(run)), std::cmp::Reverse(run.start)));
        let mut around = Around { floor, ..Around::default() };
        for run in runs {
            let done = |unit: Option<Unit>| unit.is_some_and(|unit| unit.shown >= reach(run));
            if done(around.frame) && done(around.sync) {
                break;
            }
            let here = self.around(source, run, time, floor)?;
            for unit in [here.frame, here.sync, here.last].into_iter().flatten() {
                around.see(unit, time);
            }
        }
        Ok(around)
    }

    /// The first sync sample of all, or the first sample of all.
    pub fn first(&self, source: &dyn Source, sync: bool) -> Result<Option<Unit>, Error> {
        let mut found: Option<Unit> = None;
        for run in &self.runs {
            if found.is_some_and(|found| found.shown <= run.shown.0) {
                continue;
            }
            let mut left = 0;
            let (near, end) = (run.decoded.0, run.end);
            let barren = if sync { self.barren.load(Relaxed).min(end) } else { 0 };
            let start = self.align(run, barren.max(run.start));
            self.scan(source, run, (start, end), near, &mut |unit| {
                if unit.sync || !sync {
                    if found.is_none_or(|found| unit.shown < found.shown) {
                        found = Some(unit);
                    }
                    left += 1;
                }
                // Later ones are decoded, and so shown, after it.
                !(found.is_some_and(|found| unit.decoded > found.shown) || sync && left > 0)
            })?;
            if sync && left == 0 && run.start <= self.barren.load(Relaxed) {
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
            let (low, _) = self.locate(source, run, from.saturating_sub(self.delay + 1))?;
            if left > 0 {
                self.scan(source, run, (low.0, run.end), low.1, &mut |unit| {
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

    /// The sample with its true end.
    pub fn close(&self, source: &dyn Source, unit: Unit) -> Result<Unit, Error> {
        if unit.end != UNKNOWN {
            return Ok(unit);
        }
        let inside = |run: &&Run| (run.start..run.end).contains(&unit.start);
        let Some(run) = self.runs.iter().find(inside) else { return Ok(unit) };
        let mut end = run.end;
        self.scan(source, run, (unit.start, run.end), unit.decoded, &mut |closed| {
            end = closed.end;
            false
        })?;
        Ok(Unit { end, ..unit })
    }

    fn probes(&self) -> MutexGuard<'_, Vec<(u64, i64)>> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn weight(&self) -> usize {
        let probes = self.probes();
        self.runs.capacity() * size_of::<Run>() + probes.capacity() * 16 + self.sniffer.weight()
    }
}
