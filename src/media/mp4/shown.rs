//! From a track's samples, in decode order, to the table of what is shown.

use super::{
    edits::{Edit, Edits},
    moov::Trak,
    samples::{Raw, Samples, Taker},
    tables::Tables,
};
use crate::media::{
    Error, Kind, Source,
    frames::{Builder, Entry, Frames, TooLarge},
};

/// The most heap bytes a table may take while it's made.
pub const ROOM: usize = 56 << 20;

/// How often a sample is laid on an edit, at most: many of either are a film, many of both an attack on the reader's time.
const MOST_LAID: u64 = 1 << 27;

/// Samples between two looks whether to go on: tables of few bytes may tell of many samples.
pub const BETWEEN_CHECKS: u64 = 1 << 16;

/// A value of this type takes samples from wherever they come (the moov, the fragments) and keeps those shown.
pub struct Shown {
    builder: Builder,
    parts: Vec<Part>,
    /// Time before the first part.
    lead: i64,
    kind: Timeline,
    length: u64,
    /// When the last frame ends, and when the last edit does.
    end: i64,
    listed_end: i64,
    /// The file ends before some of its samples.
    cut_off: bool,
    taken: u64,
    /// How many may be taken.
    most: u64,
    /// Of all frames shown, the smallest time; negative while none was found that isn't.
    least: i64,
}

/// A value of this type is when a track ends, on its clock.
#[derive(Clone, Copy)]
pub struct Ends {
    /// When its last sample does.
    pub media: i64,
    /// When what it shows does: its last frame may be shown for longer.
    pub presentation: i64,
}

/// How a track's frames are laid on the presentation's time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timeline {
    /// Without an edit list, and in fragments: where the standard says.
    Exact,
    /// Pictures in the moov's tables: an edit begins with its first picture.
    Pictures,
    /// Sound in the moov's tables: one that begins before its edit and lasts into it is heard in part.
    Sound,
}

/// A value of this type is an edit, while samples are laid on it.
struct Part {
    edit: Edit,
    /// What is added to the media's time; known when the first sample is shown.
    shift: Option<i64>,
    /// The last sync sample before the edit, at the media's time: where a decoder of its first frames starts.
    before: Option<Entry>,
}

impl Shown {
    /// Of the track's samples, none of which was taken yet; an error where its edit list is not read.
    pub fn new(trak: &Trak, length: u64, fragmented: bool) -> Result<Self, Error> {
        let edits = trak.edits.clone().map_err(|(offset, what)| Error::broken(offset, what));
        let edits = if fragmented { edits?.open() } else { edits? };
        let Edits { mut shown, lead, listed } = edits;
        if !listed {
            // A list that changes nothing; media before zero is shown, at its own time.
            let ever = i64::MIN / 2;
            shown.push(Edit { start: ever, media: ever, duration: i64::MAX });
        }
        let part = |edit: Edit| Part { edit, shift: None, before: None };
        let most = MOST_LAID / (shown.len() as u64).max(1);
        Ok(Shown {
            builder: Builder::new(trak.scale, ROOM, shown.len()),
            parts: shown.into_iter().map(part).collect(),
            lead,
            kind: match trak.facts.kind {
                _ if fragmented || !listed => Timeline::Exact,
                Kind::Audio => Timeline::Sound,
                _ => Timeline::Pictures,
            },
            length,
            end: 0,
            listed_end: 0,
            cut_off: false,
            taken: 0,
            most,
            least: -1,
        })
    }

    /// Takes the samples of the moov's tables; returns when the next one would be decoded, or nothing where the
    /// shifts turned out to be noise: then all is to be begun again without them.
    pub fn take_tables(
        &mut self,
        source: &dyn Source,
        tables: &Tables,
    ) -> Result<Option<i64>, Error> {
        let Some(mut samples) = Samples::new(source, tables)? else { return Ok(Some(0)) };
        while let Some(raw) = samples.step()? {
            if !samples.is_other() {
                self.take(raw)?;
            }
            if self.taken.is_multiple_of(BETWEEN_CHECKS) {
                source.check()?;
            }
        }
        Ok((!samples.is_noisy()).then(|| samples.decode_end()))
    }

    /// Counts a sample that the tables tell of. A sample has bytes of its own: more samples than bytes is a table
    /// that lies.
    #[inline]
    pub fn count(&mut self, offset: u64) -> Result<(), Error> {
        self.taken += 1;
        let what = match self.taken {
            taken if taken > self.length => {
                "the tables tell of more samples than the file has bytes"
            }
            taken if taken > self.most => "the tables tell of more samples and edits than are read",
            _ => return Ok(()),
        };
        Err(Error::broken(offset, what))
    }

    /// The file has grown to that length.
    pub fn grow(&mut self, length: u64) {
        self.length = length;
    }

    /// When a sample of that time in the media is shown, as the last edit has it.
    pub fn shown_at(&self, time: i64) -> i64 {
        let edit = self.parts.last().map(|part| part.edit);
        time.saturating_add(edit.map_or(0, |edit| edit.start.saturating_sub(edit.media)))
    }

    /// Heap bytes held.
    pub fn weight(&self) -> usize {
        self.builder.weight() + self.parts.capacity() * size_of::<Part>()
    }

    /// Takes the next sample in decode order. One whose bytes the file hasn't got isn't there.
    #[inline(always)]
    pub fn take(&mut self, raw: Raw) -> Result<(), Error> {
        self.count(raw.offset)?;
        if raw.offset >= self.length {
            self.cut_off = true;
            return Ok(());
        }
        let room = u32::try_from(self.length - raw.offset).unwrap_or(u32::MAX);
        if raw.unseen {
            self.take_unseen(raw, room);
            return Ok(());
        }
        for (index, part) in self.parts.iter_mut().enumerate() {
            let edit = part.edit;
            let mut entry = Entry {
                ticks: raw.time,
                offset: raw.offset,
                size: raw.size.min(room),
                sync: raw.sync,
                part: index as u16,
            };
            let early = raw.time < edit.media;
            let partly = self.kind == Timeline::Sound && index == 0 && early;
            let partly = partly && raw.time.saturating_add(raw.duration) > edit.media;
            if edit.shows(raw.time) || partly {
                // Pictures: the first one decoded of those shown is decoded when the edit begins. So ffmpeg
                // lays it out, and with it most players.
                let shift = *part.shift.get_or_insert(match self.kind {
                    Timeline::Exact => edit.start.saturating_sub(edit.media),
                    _ if partly => edit.start.saturating_sub(edit.media),
                    _ => edit.start.saturating_sub(raw.decode),
                });
                entry.ticks = raw.time.saturating_add(shift);
                self.least = if self.least < 0 { entry.ticks } else { self.least.min(entry.ticks) };
                self.end = self.end.max(entry.ticks.saturating_add(raw.duration));
                self.listed_end = self.listed_end.max(edit.end());
                self.builder.push(entry).map_err(|TooLarge| too_large(raw.offset))?;
            } else if raw.sync && early && part.before.is_none_or(|before| before.ticks <= raw.time)
            {
                part.before = Some(entry);
            }
        }
        Ok(())
    }

    #[cold]
    fn take_unseen(&mut self, raw: Raw, room: u32) {
        let mut parts = self.parts.iter().zip(0..);
        if let Some((part, index)) = parts.find(|(part, _)| part.edit.shows(raw.time)) {
            let shift = part.edit.start.saturating_sub(part.edit.media);
            self.builder.push_unseen(Entry {
                ticks: raw.time.saturating_add(part.shift.unwrap_or(shift)),
                offset: raw.offset,
                size: raw.size.min(room),
                sync: true,
                part: index,
            });
        }
    }

    /// Where decoders start for the first frames of each part.
    fn hidden(&self) -> Vec<Option<Entry>> {
        let hidden = self.parts.iter().map(|part| {
            let sync = part.before?;
            Some(Entry { ticks: sync.ticks.saturating_add(part.shift?), ..sync })
        });
        hidden.collect()
    }

    /// The table of what is shown before `end` in fragments, of which more may come.
    pub fn so_far(&self, end: i64) -> Result<Frames, Error> {
        self.builder.so_far(end, self.hidden()).map_err(|TooLarge| too_large(0))
    }

    /// The table, and where it ends.
    pub fn finish(self) -> Result<(Frames, Ends), Error> {
        let hidden = self.hidden();
        let mut frames = self.builder.finish(hidden).map_err(|TooLarge| too_large(0))?;
        // And then all is moved so that the first picture is shown when the first edit begins.
        let mut end = self.end;
        let late = self.least.saturating_sub(self.lead);
        if self.kind == Timeline::Pictures && late > 0 {
            frames.shift(-late);
            end = end.saturating_sub(late);
        }
        // The last frame lasts until its edit ends, be it longer than what it shows of the media.
        let is_told = self.listed_end < i64::MAX && !self.cut_off && self.kind != Timeline::Exact;
        let media = end.min(self.listed_end);
        Ok((frames, Ends { media, presentation: if is_told { self.listed_end } else { media } }))
    }
}

impl Taker for Shown {
    #[inline]
    fn take(&mut self, raw: Raw) -> Result<(), Error> {
        Shown::take(self, raw)
    }

    #[inline]
    fn count(&mut self, offset: u64) -> Result<(), Error> {
        Shown::count(self, offset)
    }
}

fn too_large(offset: u64) -> Error {
    let what =
        format!("the table of its samples would take more than {} MiB of memory", ROOM >> 20);
    Error::broken(offset, what)
}
