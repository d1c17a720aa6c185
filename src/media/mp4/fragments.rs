//! Fragments: a moof before each stretch of media, with the tables of that stretch (ISO/IEC 14496-12 §8.8).
//!
//! ```text
//! moof [ traf [ tfhd: track, defaults  tfdt: decode time  trun: durations, sizes, flags, shifts ... ] ... ]
//! mdat
//! ```

use super::{
    boxes::{Place, Window},
    moov::{Defaults, Trak},
    samples::{Raw, Taker},
    shown::BETWEEN_CHECKS,
};
use crate::media::{Error, Kind, Source};
use std::collections::BTreeMap;

/// More subsegments than an index of a day has.
const MOST_INDEXED: usize = 200_000;

/// `sample_is_non_sync_sample`, and `sample_depends_on` others (§8.8.3.1).
pub const NOT_SYNC: u32 = 0x1_0000 | 0x100_0000;

/// A value of this type reads one track's samples from the fragments, in the order of the file.
pub struct Fragments {
    defaults: Defaults,
    audio: bool,
    /// Samples of other sample entries than the first aren't shown.
    first_entry_alone: bool,
    /// When the next sample is decoded, where no fragment says.
    decode: i64,
    /// When the last sample was decoded.
    last: Option<i64>,
    /// From the segment indexes: the fragment at that offset begins at that time.
    indexed: BTreeMap<u64, i64>,
    others: Vec<Other>,
}

/// A value of this type is another track than the one that is read: only how long it is.
struct Other {
    defaults: Defaults,
    /// When its next sample is decoded, on its own clock, where no fragment says.
    decode: i64,
    /// When all of its samples have been decoded; none while it has none.
    end: Option<i64>,
}

/// A value of this type is where the samples end that were read.
#[derive(Clone, Copy)]
pub struct Stand {
    decode: i64,
    last: Option<i64>,
}

/// A value of this type is a traf's header.
#[derive(Clone, Copy)]
struct Head {
    track: u32,
    base: Option<u64>,
    base_is_moof: bool,
    entry: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Fragments {
    /// For that track, among those of the `list`; `decode` is where the samples in the moov end.
    pub fn new(trak: &Trak, list: &[Defaults], decode: i64) -> Self {
        let (track, audio) = (trak.id, trak.facts.kind == Kind::Audio);
        let first_entry_alone = trak.tables.first_entry_alone;
        let last = (decode > 0).then_some(decode - 1);
        let named = list.iter().find(|defaults| defaults.track == track).copied();
        let defaults = named.unwrap_or(Defaults { track, ..Defaults::default() });
        let others = list.iter().filter(|defaults| defaults.track != track);
        let others = others.map(|&defaults| Other { defaults, decode: 0, end: None }).collect();
        let indexed = BTreeMap::new();
        Fragments { defaults, audio, first_entry_alone, decode, last, indexed, others }
    }

    /// When the media of that track ends on its own clock, where it isn't the one that is read and has samples.
    pub fn end_of(&self, track: u32) -> Option<i64> {
        self.others.iter().find(|other| other.defaults.track == track)?.end
    }

    fn other(&mut self, track: u32) -> Option<&mut Other> {
        self.others.iter_mut().find(|other| other.defaults.track == track)
    }

    /// When the next sample is decoded at the soonest.
    pub fn decode(&self) -> i64 {
        self.last.map_or(self.decode, |last| last.saturating_add(1))
    }

    /// Where the samples that were read end; for [`Fragments::back_to`].
    pub fn stand(&self) -> Stand {
        Stand { decode: self.decode, last: self.last }
    }

    /// Goes back to where the samples ended then.
    pub fn back_to(&mut self, stand: Stand) {
        (self.decode, self.last) = (stand.decode, stand.last);
    }

    /// Heap bytes held.
    pub fn weight(&self) -> usize {
        self.indexed.len() * 2 * size_of::<(u64, i64)>()
            + self.others.capacity() * size_of::<Other>()
    }

    /// Takes the samples of the moof at `place` that are this track's.
    pub fn take(
        &mut self,
        source: &dyn Source,
        place: &Place,
        to: &mut impl Taker,
    ) -> Result<(), Error> {
        let mut window = Window::new(source, place.end);
        let mut indexed = self.indexed.get(&place.start).copied();
        // Where the media of the traf before ended: the base of the next one, if neither says another.
        let mut reached = place.start;
        window.children(place, |window, traf| match traf.is(b"traf") {
            true => self.traf(window, place, &traf, &mut reached, &mut indexed, to),
            false => Ok(()),
        })
    }

    fn traf(
        &mut self,
        window: &mut Window,
        moof: &Place,
        traf: &Place,
        reached: &mut u64,
        indexed: &mut Option<i64>,
        to: &mut impl Taker,
    ) -> Result<(), Error> {
        let mut head: Option<Head> = None;
        let mut offset = moof.start;
        let mut decode = None;
        window.children(traf, |window, child| {
            match &child.kind {
                b"tfhd" => {
                    let found = self.head(window, &child)?;
                    let implied = if found.base_is_moof { moof.start } else { *reached };
                    offset = found.base.unwrap_or(implied);
                    head = Some(Head { base: Some(offset), ..found });
                }
                b"tfdt" => {
                    let time = match window.version(&child)?.0 {
                        0 => window.u32(child.body + 4)?.into(),
                        _ => window.u64(child.body + 4)?,
                    };
                    decode = i64::try_from(time).ok();
                }
                b"trun" => {
                    let Some(head) = head else {
                        return Err(Error::broken(
                            child.start,
                            "a trun before the tfhd that says whose it is",
                        ));
                    };
                    if head.track == self.defaults.track {
                        if self.first_entry_alone && head.entry != 1 {
                            return Ok(());
                        }
                        // Only the first run of a fragment is placed; the next ones follow it.
                        if let Some(time) = decode.take().or(indexed.take()) {
                            self.decode = time;
                        }
                        *indexed = None;
                    } else if let Some(time) = decode.take()
                        && let Some(other) = self.other(head.track)
                    {
                        other.decode = time;
                    }
                    offset = self.trun(window, &child, &head, offset, to)?;
                    *reached = offset;
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn head(&self, window: &mut Window, place: &Place) -> Result<Head, Error> {
        let (_, flags) = window.version(place)?;
        let track = window.u32(place.body + 4)?;
        let other = self.others.iter().find(|other| other.defaults.track == track);
        let defaults = other.map_or(self.defaults, |other| other.defaults);
        let mut at = place.body + 8;
        let base = if flags & 1 != 0 { Some(window.u64(at)?) } else { None };
        at += if flags & 1 != 0 { 8 } else { 0 };
        let mut field = |flag: u32, default: u32| match flags & flag != 0 {
            true => {
                at += 4;
                window.u32(at - 4)
            }
            false => Ok(default),
        };
        Ok(Head {
            track,
            base,
            base_is_moof: flags & 0x2_0000 != 0,
            entry: field(2, defaults.entry)?,
            duration: field(8, defaults.duration)?,
            size: field(0x10, defaults.size)?,
            flags: field(0x20, defaults.flags)?,
        })
    }

    /// Reads a run; returns where its media ends. Another track's is only measured.
    fn trun(
        &mut self,
        window: &mut Window,
        place: &Place,
        head: &Head,
        follows: u64,
        to: &mut impl Taker,
    ) -> Result<u64, Error> {
        let (_, flags) = window.version(place)?;
        let count = window.u32(place.body + 4)?;
        let mut at = place.body + 8;
        let mut offset = follows;
        if flags & 1 != 0 {
            let data = i64::from(window.u32(at)? as i32);
            offset = head.base.unwrap_or(follows).saturating_add_signed(data);
            at += 4;
        }
        let mut first = None;
        if flags & 4 != 0 {
            first = Some(window.u32(at)?);
            at += 4;
        }
        let ours = head.track == self.defaults.track;
        let fields = u64::from((flags >> 8 & 15).count_ones());
        // A run whose samples say nothing of their own may be of any length; others end with their box.
        let count = match fields {
            0 => u64::from(count),
            _ => u64::from(count).min(place.end.saturating_sub(at) / (4 * fields)),
        };
        if !ours && flags & 0x300 == 0 {
            let lasts = count.saturating_mul(head.duration.into());
            self.lengthen(head.track, i64::try_from(lasts).unwrap_or(i64::MAX));
            return Ok(offset.saturating_add(count.saturating_mul(head.size.into())));
        }
        let mut lasts = 0_i64;
        let before = self.last;
        for number in 0..count {
            if number.is_multiple_of(BETWEEN_CHECKS) {
                window.check()?;
            }
            let mut field = |flag: u32, default: u32| match flags & flag != 0 {
                true => {
                    at += 4;
                    window.u32(at - 4)
                }
                false => Ok(default),
            };
            let duration = field(0x100, head.duration)?;
            let size = field(0x200, head.size)?;
            let its_flags = field(0x400, head.flags)?;
            // Signed in version 0 too: as in ctts, writers store negative shifts there.
            let shift = field(0x800, 0)? as i32;
            let its_flags = first.take().unwrap_or(its_flags);
            if ours {
                let raw = Raw {
                    decode: self.decode,
                    time: self.decode.saturating_add(shift.into()),
                    duration: duration.into(),
                    offset,
                    size,
                    sync: self.audio || its_flags & NOT_SYNC == 0,
                    // Fragments may overlap: what was there already is not shown a second time.
                    unseen: before.is_some_and(|before| self.decode <= before),
                };
                match raw.unseen && !raw.sync {
                    true => to.count(offset)?,
                    false => to.take(raw)?,
                }
                self.last = Some(self.decode);
                self.decode = self.decode.saturating_add(duration.into());
            }
            lasts = lasts.saturating_add(duration.into());
            offset = offset.saturating_add(size.into());
        }
        if !ours {
            self.lengthen(head.track, lasts);
        }
        Ok(offset)
    }

    /// Another track's run lasts so long.
    fn lengthen(&mut self, track: u32, lasts: i64) {
        if let Some(other) = self.other(track) {
            other.decode = other.decode.saturating_add(lasts);
            other.end = other.end.max(Some(other.decode));
        }
    }

    /// Takes the times of a segment index (§8.16.3), for fragments that say none themselves. `scale` is the
    /// track's clock.
    pub fn take_index(
        &mut self,
        source: &dyn Source,
        place: &Place,
        scale: u32,
    ) -> Result<(), Error> {
        let mut window = Window::new(source, place.end);
        let (version, _) = window.version(place)?;
        let (track, clock) = (window.u32(place.body + 4)?, window.u32(place.body + 8)?);
        if track != self.defaults.track || clock == 0 {
            return Ok(());
        }
        let (time, skip, mut at) = match version {
            0 => (
                window.u32(place.body + 12)?.into(),
                window.u32(place.body + 16)?.into(),
                place.body + 20,
            ),
            _ => (window.u64(place.body + 12)?, window.u64(place.body + 20)?, place.body + 28),
        };
        let mut offset = place.end.saturating_add(skip);
        let mut time = i64::try_from(time).unwrap_or(i64::MAX);
        let count = window.u16(at + 2)?;
        at += 4;
        for _ in 0..count {
            let (size, duration) = (window.u32(at)?, window.u32(at + 4)?);
            at += 12;
            // The first bit says that this leads to another index, which says it all again and finer.
            if size >> 31 == 0 && self.indexed.len() < MOST_INDEXED {
                let ticks = crate::media::Time::new(time, clock)
                    .ticks_at(scale, crate::media::Rounding::Nearest);
                self.indexed.extend(ticks.map(|ticks| (offset, ticks)));
            }
            offset = offset.saturating_add((size & 0x7fff_ffff).into());
            time = time.saturating_add(duration.into());
        }
        Ok(())
    }
}
