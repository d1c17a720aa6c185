//! MPEG transport streams (ISO/IEC 13818-1), in packets of 188, 192 (M2TS) or 204 bytes.
//!
//! ```text
//! walk (packets) -> section, tables (PAT, PMT: which streams)
//!                -> pes, pictures, es (samples: when shown, where, a place to start?)
//!                -> pass (both at once) -> gathered -> samples (a short file: all of them)
//!                                                   -> search  (a long file: bisection)
//! ```
//!
//! - A sample is a PES packet that bears a presentation time: from the packet that starts it to the end
//!   of the last packet with bytes of it (and of PES packets without a time that follow).
//! - A packet that is sent twice (§2.4.3.3) is the first of the two.
//! - Time zero is the smallest presentation time of any stream; times go on over the wrap at 2^33.
//! - A frame's number is counted where the file was read whole (then `layout().frames` says how many
//!   there are); in a longer file it is the frame's place on the grid of its rate.
//! - The main stream goes on where a newer PMT gives it another PID.
//!
//! The stream decides what a sync sample is, not the packets' random access indicator: see `es`.

mod around;
mod codec;
mod core;
mod describe;
mod es;
mod gathered;
mod growing;
mod live;
mod memory;
mod open;
mod packet;
mod pass;
mod pes;
mod pictures;
mod rate;
mod samples;
mod search;
mod section;
mod seen;
mod sparse;
mod tables;
mod walk;

#[cfg(test)]
mod long_tests;
#[cfg(test)]
mod reel;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use growing::Growing;
pub use live::Edge;

use self::core::{Core, Frames};
use self::open::{File, WHOLE};
use self::packet::Framing;
use self::pes::HERTZ;
use self::search::Lost;
use self::seen::Seen;
use crate::media::{Error, Found, Index, Presentation, Rounding, Sample, Source, Time, once::Once};
use std::ops::Range;

/// Whether these first bytes of a file are packets.
pub fn recognises(head: &[u8]) -> bool {
    Framing::of(head).is_some()
}

pub fn open(source: &dyn Source) -> Result<TransportStream, Error> {
    let seen = Seen::new(source);
    let source = if source.length() > WHOLE { &seen } else { source };
    let core = File::new(source)?.index()?;
    Ok(TransportStream { core, read_whole: Once::default() })
}

/// A value of this type is the index of a transport stream.
#[derive(Debug)]
pub struct TransportStream {
    core: Core,
    /// The index that was made when a search found time going back.
    read_whole: Once<Core>,
}

impl TransportStream {
    fn core(&self) -> &Core {
        self.read_whole.get().unwrap_or(&self.core)
    }

    /// The index of the same file after it has grown; `source` says how long it is now.
    pub fn grown(&self, source: &dyn Source) -> Result<TransportStream, Error> {
        let core = self.core();
        let file = core.file(source);
        let core = if source.length() < core.length { file.index()? } else { file.grown(core)? };
        Ok(TransportStream { core, read_whole: Once::default() })
    }

    /// Asks the index, and once more after a pass over the whole file if time turns out to go back.
    fn ask<T>(
        &self,
        source: &dyn Source,
        question: impl Fn(&Core) -> Result<T, Lost>,
    ) -> Result<T, Error> {
        match question(self.core()) {
            Ok(answer) => return Ok(answer),
            Err(Lost::Error(error)) => return Err(error),
            Err(Lost::Disorder) => {}
        }
        let (file, tables) = (self.core.file(source), &self.core.progress.pass.tables);
        let core = self.read_whole.get_or_make(|| file.whole(tables))?;
        question(core).map_err(|lost| match lost {
            Lost::Error(error) => error,
            Lost::Disorder => Error::broken(core.begin, "time goes back here and there"),
        })
    }
}

impl Index for TransportStream {
    fn presentation(&self) -> &Presentation {
        &self.core().presentation
    }

    fn find(&self, source: &dyn Source, time: Time) -> Result<Option<Found>, Error> {
        self.ask(source, |core| match core.inside(time) {
            Some(shown) => core.find(source, shown),
            None => Ok(None),
        })
    }

    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Error> {
        self.ask(source, |core| core.frame(source, number))
    }

    fn sync_samples(
        &self,
        source: &dyn Source,
        from: Time,
        most: usize,
    ) -> Result<Vec<Sample>, Error> {
        self.ask(source, |core| core.syncs(source, from, most))
    }

    fn span(
        &self,
        source: &dyn Source,
        from: Time,
        to: Option<Time>,
    ) -> Result<Option<Range<u64>>, Error> {
        self.ask(source, |core| {
            let Some(shown) = core.inside(from) else { return Ok(None) };
            let to = match to {
                None => None,
                Some(to) if to <= from => return Ok(None),
                Some(to) => {
                    to.ticks_at(HERTZ, Rounding::Up).and_then(|to| core.zero.checked_add(to))
                }
            };
            core.span(source, shown, to)
        })
    }

    fn is_in_memory(&self) -> bool {
        matches!(self.core().frames, Frames::Samples(_))
    }

    fn remembers(&self) -> bool {
        matches!(self.core().frames, Frames::Search(_))
    }

    fn weight(&self) -> usize {
        self.core.weight() + self.read_whole.get().map_or(0, Core::weight)
    }
}
