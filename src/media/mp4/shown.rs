//! From a track's samples, in decode order, to the table of what is shown.

use super::{
    edits::{Edit, Edits},
    moov::Trak,
    tables::{Raw, Samples},
};
use crate::media::{
    Error, Kind, Source,
    frames::{Builder, Entry, Frames, Start, TooLarge},
};

/// The most heap bytes a table may take while it's made.
pub const ROOM: usize = 48 << 20;

/// A value of this type takes samples from wherever they come (the moov, the fragments) and keeps those shown.
pub struct Shown {
    builder: Builder,
    edits: Edits,
    audio: bool,
    length: u64,
    /// For each edit, the last sync sample before it: where its decoder starts.
    before: Vec<Option<Entry>>,
    end: i64,
    taken: u64,
    fragmented: bool,
}

impl Shown {
    pub fn new(trak: &Trak, length: u64, fragmented: bool) -> Self {
        let mut edits = trak.edits.clone();
        if !edits.listed {
            // A list that changes nothing; media before zero is shown, at its own time.
            edits.shown.push(Edit { start: i64::MIN / 2, media: i64::MIN / 2, duration: i64::MAX });
        }
        Shown {
            builder: Builder::new(trak.scale, ROOM),
            before: vec![None; edits.shown.len()],
            edits,
            audio: trak.facts.kind == Kind::Audio,
            length,
            end: 0,
            taken: 0,
            fragmented,
        }
    }

    /// Takes the samples of the moov's tables; returns when the next one would be decoded.
    pub fn take_tables(&mut self, source: &dyn Source, trak: &Trak) -> Result<i64, Error> {
        let Some(mut samples) = Samples::new(source, &trak.tables)? else { return Ok(0) };
        while let Some(raw) = samples.next()? {
            self.take(raw)?;
        }
        Ok(samples.decode_end())
    }

    /// Takes the next sample in decode order. One whose bytes the file hasn't got isn't there.
    #[inline]
    pub fn take(&mut self, raw: Raw) -> Result<(), Error> {
        // A sample has bytes of its own: more samples than bytes is a table that lies.
        self.taken += 1;
        if self.taken > self.length {
            return Err(Error::broken(
                raw.offset,
                "the tables tell of more samples than the file has bytes",
            ));
        }
        if raw.offset >= self.length {
            return Ok(());
        }
        let room = u32::try_from(self.length - raw.offset).unwrap_or(u32::MAX);
        for (index, edit) in self.edits.shown.iter().enumerate() {
            let ticks = edit.place(raw.time);
            let entry =
                Entry { ticks, offset: raw.offset, size: raw.size.min(room), sync: raw.sync };
            // A sound that begins before the edit and lasts into it is heard in part; a picture isn't shown.
            let partly = self.audio
                && raw.time < edit.media
                && raw.time.saturating_add(raw.duration) > edit.media;
            if edit.shows(raw.time) || partly && index == 0 {
                self.end = self.end.max(ticks.saturating_add(raw.duration).min(edit.end()));
                self.builder.push(entry).map_err(|TooLarge| too_large(raw.offset))?;
            } else if raw.sync && raw.time < edit.media {
                let Some(before) = self.before.get_mut(index) else { continue };
                if before.is_none_or(|before| before.ticks <= ticks) {
                    *before = Some(entry);
                }
            }
        }
        Ok(())
    }

    /// The table, and where the presentation of this track ends on its clock.
    pub fn finish(self) -> Result<(Frames, i64), Error> {
        let starts = match self.edits.listed {
            true => self
                .edits
                .shown
                .iter()
                .zip(&self.before)
                .map(|(edit, before)| Start { ticks: edit.start, sync: *before }),
            false => {
                return Ok((self.builder.finish(Vec::new()).map_err(|_| too_large(0))?, self.end));
            }
        };
        let starts: Vec<Start> = starts.collect();
        let mut frames = self.builder.finish(starts).map_err(|TooLarge| too_large(0))?;
        let mut end = self.end;
        // An edit that begins between two pictures begins with the second one: there is nothing to show
        // before it, and players start there. Everything after moves with it.
        if let Some(first) = frames.times().get(0).filter(|_| !self.audio && !self.fragmented) {
            let late = first.saturating_sub(self.edits.lead);
            if late > 0 {
                frames.shift(-late);
                end = end.saturating_sub(late);
            }
        }
        Ok((frames, end))
    }
}

fn too_large(offset: u64) -> Error {
    let what =
        format!("the table of its samples would take more than {} MiB of memory", ROOM >> 20);
    Error::broken(offset, what)
}
