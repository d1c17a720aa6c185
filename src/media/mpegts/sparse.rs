//! The index of a long file: its beginning, its end and some places between are looked at. `None` wherever
//! that doesn't suffice: time goes back, or the stream isn't where it should be.

use super::gathered::{Gathered, Run};
use super::open::{File, Progress};
use super::pass::Pass;
use super::pes::HERTZ;
use super::pictures::Pictures;
use super::search::Search;
use super::tables::Tables;
use super::{Core, Frames, describe};
use crate::media::{Error, Kind};

/// The beginning is looked at in steps, until there are samples enough to tell their rate, and every
/// stream of pictures or sound was met: the first of them is where time begins.
const STEP: u64 = 64 << 10;
const SAMPLES: usize = 16;
/// Further on fewer samples suffice, and further still streams that aren't there aren't waited for.
const FEWER: (u64, usize) = (256 << 10, 6);
const STREAMS: u64 = 8 << 20;
/// Streams that may be sound are waited for less: they may as well be subtitles that come once an hour. What is presented
/// before the first sample comes before one that is decoded a second later (ISO/IEC 13818-1 §2.4.2.6).
const NAMELESS: (u64, i64) = (4 << 20, HERTZ as i64);
/// How far is looked for any sample at all.
const PATIENCE: u64 = 16 << 20;
/// How much of the end is looked at first.
const END: u64 = 256 << 10;
/// Places looked at between beginning and end, and how many where samples are large: each place costs about one.
const PLACES: u64 = 8;
const FEWER_PLACES: u64 = 4;
const LARGE: u64 = 96 << 10;

pub fn index(file: &File<'_>, tables: &Tables) -> Result<Option<Core>, Error> {
    for kind in [Kind::Video, Kind::Audio] {
        let Some(place) = tables.first(kind, |_| true) else { continue };
        let mut progress = Progress::new(tables.clone(), place, file.begin);
        let mut gathered = Gathered::default();
        let seen = beginning(file, &mut progress.pass, &mut gathered)?;
        if gathered.count > 0 {
            let [run] = &mut gathered.runs[..] else { return Ok(None) };
            (run.start, run.end) = (file.begin, file.source.length());
            let known = (file.begin, seen, run.decoded.1);
            let search = Search::of(file.framing, &progress.pass, &gathered);
            let Some(search) = search else { return Ok(None) };
            return onward(file, progress, gathered, search, known, None);
        }
    }
    Ok(None)
}

/// Says how far it went.
fn beginning(file: &File<'_>, pass: &mut Pass, gathered: &mut Gathered) -> Result<u64, Error> {
    let mut ahead = 0;
    loop {
        let at = file.begin + ahead;
        // Each step goes on at the packet where the one before ended, whatever lies between.
        ahead += STEP / file.framing.stride * file.framing.stride;
        let span = (at, file.begin + ahead);
        pass.run(file.source, file.framing, span, &mut |unit| gathered.take(unit))?;
        let enough = match gathered.count {
            SAMPLES.. => true,
            count => count >= FEWER.1 && ahead >= FEWER.0,
        };
        let lasts = gathered.runs.last().map_or(0, |run| run.decoded.1 - run.decoded.0);
        let nameless = ahead < NAMELESS.0 && lasts < NAMELESS.1;
        if enough && (pass.complete(nameless) || ahead >= STREAMS) || ahead >= PATIENCE {
            return Ok(file.begin + ahead);
        }
    }
}

/// Looks at places between a packet from which on the file is not known and its end: time must rise from each to the
/// next, the first of which comes after `last`. What begins before `seen` was gathered; `before` is the index of the file when it was shorter.
fn onward(
    file: &File<'_>,
    mut progress: Progress,
    mut gathered: Gathered,
    mut search: Search,
    (base, seen, mut last): (u64, u64, i64),
    before: Option<&Core>,
) -> Result<Option<Core>, Error> {
    let pass = &progress.pass;
    let length = file.source.length();
    let (span, stride) = (length - base, file.framing.stride);
    let Some(&Run { pid, .. }) = gathered.runs.last() else { return Ok(None) };
    let large = (seen - base) / gathered.count.max(1) as u64 > LARGE;
    let places = if large { FEWER_PLACES } else { PLACES };
    let mut tail = base;
    for k in 1..=places {
        let ahead = if k == places { span.saturating_sub(END) } else { span / places * k };
        let at = base + ahead / stride * stride;
        if at < seen || at <= tail {
            continue;
        }
        let limit = if k == places { length } else { at + PATIENCE };
        if let Some((place, stamp)) = search.probe(file.source, pid, (at, limit))? {
            let time = search.clock.onward(stamp, last.saturating_sub(gathered.jitter));
            let Some(time) = time else { return Ok(None) };
            search.remember(place, time);
            (last, tail) = (time, place);
        }
    }
    let near = length - tail <= 2 * END;
    let mut from = if near { tail } else { base + span.saturating_sub(END) / stride * stride };
    loop {
        let (end, ending) = ending(file, pass, from, last)?;
        if let [run] = &ending.runs[..] {
            let slack = gathered.jitter.max(ending.jitter);
            if from >= seen.max(tail) && run.decoded.0 < last - slack {
                return Ok(None);
            }
            gathered.follow(&ending);
            if let Some(run) = gathered.runs.last_mut() {
                run.end = length;
            }
            search.end(&gathered);
            progress.pass.follow_times(&end);
            progress.gathered = gathered.clone();
            let frames = Frames::Search(Box::new(search));
            return describe::core(file, progress, gathered, frames, before).map(Some);
        }
        if !ending.runs.is_empty() || length - from > PATIENCE {
            return Ok(None);
        }
        let wider = base + span.saturating_sub(4 * (length - from)) / stride * stride;
        // No further back than the last sample that is known.
        from = if from > tail { wider.max(tail) } else { wider };
    }
}

/// A pass over the file's last packets.
fn ending(file: &File<'_>, pass: &Pass, from: u64, near: i64) -> Result<(Pass, Gathered), Error> {
    let mut end = Pass::new(pass.tables.clone());
    end.main = pass.main.as_ref().map(|main| {
        Pictures::new(main.pid, main.codec, main.sniffer.clone(), main.clock).after(near)
    });
    (end.clocks, end.near) = (pass.clocks.clone(), Some(near));
    let mut ending = Gathered::default();
    let span = (from, file.source.length());
    end.run(file.source, file.framing, span, &mut |unit| ending.take(unit))?;
    end.finish(&mut |unit| ending.take(unit));
    Ok((end, ending))
}

/// The index of a long file that has grown. `None`: it is better made anew.
pub fn grown(
    file: &File<'_>,
    progress: Progress,
    search: &Search,
    core: &Core,
) -> Result<Option<Core>, Error> {
    let (gathered, before) = (progress.gathered.clone(), Some(core));
    let (Some(last), [run]) = (gathered.last, &gathered.runs[..]) else { return Ok(None) };
    if last.pid != run.pid {
        return Ok(None);
    }
    let known = (last.start, last.start, last.decoded);
    onward(file, progress, gathered, search.clone(), known, before)
}
