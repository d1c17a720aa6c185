//! Making the index of a file by one pass over all of it. What a long file gets instead: see
//! [`sparse`](super::sparse).

use super::gathered::{Gathered, RUNS, Run};
use super::packet::Framing;
use super::pass::Pass;
use super::pictures::Unit;
use super::samples::Samples;
use super::search::Search;
use super::sparse;
use super::tables::Tables;
use super::walk::Walk;
use super::{Core, Frames, describe};
use crate::media::{Error, Kind, Source, read_up_to};

/// Files up to this length are read whole.
pub const WHOLE: u64 = 64 << 20;
/// Where the first packet must be found, and where it mostly is.
pub const HEAD: usize = 64 << 10;
const FIRST: usize = 8 << 10;
/// One read of a look for tables.
const BLOCK: usize = 16 << 10;
/// How far tables are looked for, and how far for those that are missing when some are there.
const TABLES: u64 = 5 << 20;
const MORE_TABLES: u64 = 512 << 10;

/// A value of this type is a file of packets, before anything is known of its streams.
#[derive(Clone, Copy)]
pub struct File<'s> {
    pub source: &'s dyn Source,
    pub framing: Framing,
    pub begin: u64,
    /// More of it may come: nothing is said that this could change.
    pub growing: bool,
}

impl<'s> File<'s> {
    pub fn new(source: &'s dyn Source) -> Result<Self, Error> {
        for reach in [FIRST, HEAD] {
            let mut head = vec![0; reach];
            let filled = read_up_to(source, &mut head, 0)?;
            let head = head.get(..filled).unwrap_or_default();
            if let Some((framing, begin)) = Framing::of(head)
                && (begin < FIRST as u64 / 2 || reach == HEAD)
            {
                return Ok(File { source, framing, begin, growing: false });
            }
        }
        Err(Error::Unknown)
    }

    /// The cheapest index that is right.
    pub fn index(&self) -> Result<Core, Error> {
        let tables = self.survey()?;
        self.index_of(&tables)
    }

    fn index_of(&self, tables: &Tables) -> Result<Core, Error> {
        if self.source.length() > WHOLE
            && let Some(core) = sparse::index(self, tables)?
        {
            return Ok(core);
        }
        self.whole(tables)
    }

    /// The index of a file that has only begun; none while too little of it is there to tell its streams.
    pub fn begun(&self) -> Result<Option<Core>, Error> {
        let there = self.source.length().saturating_sub(self.begin);
        if there < self.framing.proof() {
            return Ok(None);
        }
        let (tables, known) = self.named()?;
        let named = known && !tables.streams().is_empty();
        if !named && there < TABLES {
            return Ok(None);
        }
        let tables = if named { tables } else { self.survey()? };
        let core = match self.index_of(&tables) {
            Err(Error::NoTrack) if there < TABLES => return Ok(None),
            core => core?,
        };
        // Others may come before the stream that is wanted, and what is told of them wouldn't stay.
        Ok((!core.progress.instead || there >= TABLES).then_some(core))
    }

    /// The tables at the file's beginning, or a guess where there are none.
    pub fn survey(&self) -> Result<Tables, Error> {
        let (mut tables, _) = self.named()?;
        if tables.streams().is_empty() {
            let mut walk = self.first_packets();
            while let Some((_, packet)) = walk.step()? {
                tables.guess(packet);
            }
        }
        Ok(tables)
    }

    fn first_packets(&self) -> Walk<'s> {
        let walk = Walk::new(self.source, self.framing, self.begin, self.begin + TABLES, BLOCK);
        if self.growing { walk.growing(false) } else { walk }
    }

    /// The tables at the file's beginning, and whether more of the file would tell the same.
    fn named(&self) -> Result<(Tables, bool), Error> {
        let mut tables = Tables::default();
        let mut named = None;
        let mut walk = self.first_packets();
        while let Some((at, packet)) = walk.step()? {
            if tables.take(packet) && !tables.streams().is_empty() {
                named.get_or_insert(at);
            }
            tables.recognise(packet);
            let told = tables.complete() && !tables.is_vague();
            if told || named.is_some_and(|named| at > named + MORE_TABLES) {
                return Ok((tables, true));
            }
        }
        let known = walk.at() >= self.begin + TABLES;
        Ok((tables, known))
    }

    /// The index that one pass over the whole file gives.
    pub fn whole(&self, tables: &Tables) -> Result<Core, Error> {
        let (progress, gathered) = self.read(tables)?;
        if gathered.complete() {
            self.samples(progress, gathered)
        } else {
            self.runs(progress, gathered, None)
        }
    }

    pub fn read(&self, tables: &Tables) -> Result<(Progress, Gathered), Error> {
        let wanted = wanted(tables).ok_or(Error::NoTrack)?;
        let mut progress = Progress::new(tables.clone(), wanted, self.begin);
        let mut gathered = progress.advance(self)?;
        if gathered.count == 0 {
            // Named in the tables, but never there: the first stream that is, be it one without a codec's name.
            let Progress { pass, .. } = &progress;
            let mut tables = pass.tables.clone();
            let mut walk = self.first_packets();
            while let Some((_, packet)) = walk.step()? {
                tables.recognise(packet);
            }
            let there = |place: usize| pass.times.get(place).is_some_and(Option::is_some);
            let other = |kind| tables.first(kind, there).filter(|&place| place != wanted);
            if let Some(other) = other(Kind::Video).or(other(Kind::Audio)) {
                progress = Progress::new(tables, other, self.begin);
                progress.instead = true;
                gathered = progress.advance(self)?;
            }
        }
        if gathered.count == 0 {
            return Err(progress.pass.scrambled.map_or(Error::NoTrack, |at| {
                Error::broken(at, "the packets are scrambled from here on")
            }));
        }
        Ok((progress, gathered))
    }

    fn samples(&self, progress: Progress, mut gathered: Gathered) -> Result<Core, Error> {
        let samples = Samples::new(&std::mem::take(&mut gathered.units));
        describe::core(self, progress, gathered, Frames::Samples(samples), None)
    }

    /// The index by runs of all that was gathered; `before` is that of the file when it was shorter.
    pub fn runs(
        &self,
        progress: Progress,
        gathered: Gathered,
        before: Option<&Core>,
    ) -> Result<Core, Error> {
        if gathered.runs.len() == RUNS {
            let at = gathered.runs.last().map_or(self.begin, |run| run.start);
            return Err(Error::broken(at, "time goes back over and over again up to here"));
        }
        let search = Search::of(self.framing, &progress.pass, &gathered);
        let mut search = search.ok_or(Error::NoTrack)?;
        if let Some(Core { frames: Frames::Search(known), .. }) = before {
            search.learn(known);
        }
        describe::core(self, progress, gathered, Frames::Search(Box::new(search)), before)
    }

    /// The index of a file that has grown since its index was made.
    pub fn grown(&self, core: &Core) -> Result<Core, Error> {
        let mut progress = core.progress.clone();
        match &core.frames {
            Frames::Samples(samples) => {
                let open = progress.open;
                let mut gathered = progress.advance(self)?;
                if !gathered.complete() {
                    return self.runs(progress, gathered, Some(core));
                }
                let mut samples = samples.clone();
                samples.extend(&std::mem::take(&mut gathered.units), open);
                describe::core(self, progress, gathered, Frames::Samples(samples), Some(core))
            }
            // All of it was read, and so is the rest.
            Frames::Search(_) if progress.at > self.begin => {
                let gathered = progress.advance(self)?;
                self.runs(progress, gathered, Some(core))
            }
            Frames::Search(search) => match sparse::grown(self, progress, search, core)? {
                Some(core) => Ok(core),
                None => self.index(),
            },
        }
    }
}

/// The place of the stream whose samples are wanted, if it comes: of those named, the first of pictures, or else of sound.
fn wanted(tables: &Tables) -> Option<usize> {
    let named = |kind| tables.first(kind, |_| true);
    named(Kind::Video).or(named(Kind::Audio))
}

/// A value of this type is a pass that can go on where its file grows.
#[derive(Clone, Debug)]
pub struct Progress {
    pub pass: Pass,
    /// Without the samples whose bytes may still come, and without the units given away.
    pub gathered: Gathered,
    /// Where the next packet is expected.
    at: u64,
    /// Samples from here on were given although they may still grow.
    open: u64,
    /// Another stream is followed than the one that is wanted, of which there is no sample.
    instead: bool,
}

impl Progress {
    pub fn new(tables: Tables, place: usize, at: u64) -> Self {
        let pass = Pass::new(tables).follow(place);
        Progress { pass, gathered: Gathered::default(), at, open: u64::MAX, instead: false }
    }

    pub fn weight(&self) -> usize {
        let Gathered { units, runs, .. } = &self.gathered;
        self.pass.weight()
            + units.capacity() * size_of::<Unit>()
            + runs.capacity() * size_of::<Run>()
    }

    /// Goes on to the file's end. Gives all that was gathered, but of the units only the new ones.
    fn advance(&mut self, file: &File<'_>) -> Result<Gathered, Error> {
        let Progress { pass, gathered, .. } = self;
        pass.growing = file.growing;
        let span = (self.at, file.source.length());
        self.at = pass.run(file.source, file.framing, span, &mut |unit| gathered.take(unit))?;
        let units = std::mem::take(&mut gathered.units);
        let mut all = Gathered { units, ..gathered.clone() };
        let before = all.units.len();
        pass.clone().finish(&mut |unit| all.take(unit));
        self.open = all.units.get(before).map_or(u64::MAX, |unit| unit.start);
        if !all.complete() {
            // They tell the rate.
            gathered.units.clone_from(&all.units);
        }
        Ok(all)
    }
}
