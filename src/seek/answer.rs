//! Where moments lie in a film: the frame, the sync sample to start from, the range to ask for next.

use super::{Film, Meaning, Refusal, film::Met};
use crate::media::{Counting, Error, Rate, Sample, StartTimecode, Time, Timecode};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// A value of this type is the answer to one question: an object, or a list where several moments were asked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    One(Box<Answer>),
    Several(Vec<Answer>),
}

/// A value of this type says where one moment lies.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// As it was typed.
    pub asked: String,
    /// The time asked, since the presentation's start.
    pub time: Moment,
    pub frame: Frame,
    pub sync: Sync,
    pub track: Track,
    pub duration: Option<Moment>,
    /// More of the film may come: the duration is that of what is there.
    pub growing: bool,
    /// What to send as `Range` next.
    pub range: String,
    /// Sentences about what is not exact here; none where all is.
    pub notes: Vec<Cow<'static, str>>,
}

/// A value of this type is a time since the presentation's start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Moment {
    #[serde(serialize_with = "seconds")]
    pub seconds: Time,
    pub ticks: i64,
    pub timescale: u32,
}

/// A value of this type is the frame that is shown then.
#[derive(Debug, Serialize)]
pub struct Frame {
    /// Counted from the first shown frame, 0.
    pub number: u64,
    /// Whether it was counted; else it is the frame's place on the grid of the nominal rate.
    pub counted: bool,
    pub time: Moment,
    /// In the meaning that was asked.
    pub label: Option<String>,
    pub labels: Labels,
    pub byte_offset: u64,
    pub byte_length: u64,
}

/// A value of this type is a frame's label in both meanings.
#[derive(Debug, Serialize)]
pub struct Labels {
    pub at: Option<String>,
    pub tc: Option<String>,
}

/// A value of this type is the sync sample that a decoder starts from.
#[derive(Debug, Serialize)]
pub struct Sync {
    pub time: Moment,
    pub byte_offset: u64,
    pub byte_length: u64,
    /// The film has none at or before the time; this is the first one.
    pub later: bool,
}

/// A value of this type says of the track what its labels mean.
#[derive(Debug, Serialize)]
pub struct Track {
    pub id: u64,
    pub codec: String,
    #[serde(serialize_with = "as_text")]
    pub frame_rate: Option<Rate>,
    /// The file's own timecode track counts in drop-frame.
    pub drop_frame: bool,
    pub variable_rate: bool,
    /// The label that the file's own timecode track gives the first shown frame.
    pub start_label: Option<String>,
}

impl Film<'_> {
    /// Where these moments lie: all of them, or why one has no answer.
    pub fn moments(
        &self,
        meaning: Meaning,
        asked: &[(String, Timecode)],
        size: Option<u64>,
    ) -> Result<Reply, Refusal> {
        if let [(typed, timecode)] = asked {
            return Ok(Reply::One(Box::new(self.moment(meaning, typed, *timecode, size)?)));
        }
        let each = asked.iter().map(|(typed, at)| self.moment(meaning, typed, *at, size));
        Ok(Reply::Several(each.collect::<Result<_, _>>()?))
    }

    fn moment(
        &self,
        meaning: Meaning,
        typed: &str,
        timecode: Timecode,
        size: Option<u64>,
    ) -> Result<Answer, Refusal> {
        let duration = self.index.duration();
        let place = self.place(meaning, timecode)?;
        let Some(met) = self.meet(place)? else {
            return Err(self.outside(meaning, typed, timecode)?);
        };
        let reel = self.reel();
        let drop_frame = match timecode {
            Timecode::Label(label) => label.drop_frame,
            _ => reel.start.is_some_and(|start| start.drop_frame),
        };
        let (elapsed, own) = self.labels(&met.found, drop_frame)?;
        let labels = Labels { at: elapsed.map(|l| l.to_string()), tc: own.map(|l| l.to_string()) };
        let label = match meaning {
            Meaning::Elapsed => labels.at.clone(),
            Meaning::Own => labels.tc.clone(),
        };
        let start = self.index.start(self.source, &met.found)?;
        let mut notes = self.notes(&met);
        notes.extend(too_small(&met, start, size));
        let (frame, sync) = (&met.found.frame, &met.found.sync);
        Ok(Answer {
            asked: typed.to_owned(),
            time: met.time.into(),
            frame: Frame {
                number: met.found.number,
                counted: self.index.layout().frames.is_some(),
                time: frame.time.into(),
                label,
                labels,
                byte_offset: frame.span.start,
                byte_length: length(frame),
            },
            sync: Sync {
                time: sync.time.into(),
                byte_offset: sync.span.start,
                byte_length: length(sync),
                later: met.found.later,
            },
            track: self.track(),
            duration: duration.map(Moment::from),
            growing: self.index.is_growing(),
            range: self.range(start, size),
            notes,
        })
    }

    /// Why nothing is there, and whether there is something in the other meaning.
    fn outside(&self, meaning: Meaning, typed: &str, timecode: Timecode) -> Result<Refusal, Error> {
        let (asked, duration) = (typed.to_owned(), self.index.duration());
        let growing = self.index.is_growing();
        let other = match meaning {
            Meaning::Elapsed => Meaning::Own,
            Meaning::Own => Meaning::Elapsed,
        };
        let found = match self.place(other, timecode) {
            Ok(place) => self.meet(place)?.is_some(),
            Err(_) => false,
        };
        let first = self.index.start_timecode().and_then(start_label);
        let hint = |hint: &str| found.then(|| hint.to_owned());
        Ok(match (meaning, first) {
            (Meaning::Own, Some(first)) => {
                let hint = hint("ask without tc for the time since its first frame");
                Refusal::NoSuchLabel { asked, duration, first, growing, hint }
            }
            _ => {
                let hint = hint("as a label of its timecode track it is there: ask for it as tc");
                Refusal::PastTheEnd { asked, duration, growing, hint }
            }
        })
    }

    /// What to ask for next: from where a decoder can start to the file's end, or as long as was asked.
    fn range(&self, start: u64, size: Option<u64>) -> String {
        match size {
            None => format!("bytes={start}-"),
            Some(size) => {
                let end = start.saturating_add(size).min(self.source.length());
                format!("bytes={start}-{}", end.saturating_sub(1).max(start))
            }
        }
    }

    fn notes(&self, met: &Met) -> Vec<Cow<'static, str>> {
        let (reel, layout) = (self.reel(), self.index.layout());
        let said = [
            (
                met.on_grid && reel.variable_rate,
                "the frame rate varies: the frames of a label are taken as time on the nominal grid",
            ),
            (
                met.on_grid && !reel.variable_rate,
                "the label counts at another rate than the frames come: the frame shown at its time is given",
            ),
            (
                layout.frames.is_none(),
                "frames are not counted in a file as long as this: the number is the frame's place on the grid of \
                 its rate",
            ),
            (met.between, "no frame has that number: the one that is shown at its time is given"),
            (met.found.later, "no sync sample lies at or before this time: the first one is given"),
        ];
        said.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note.into()).collect()
    }

    pub(super) fn track(&self) -> Track {
        let (track, start) = (self.index.main_track(), self.index.start_timecode());
        Track {
            id: track.id,
            codec: track.codec.clone(),
            frame_rate: track.frame_rate,
            drop_frame: start.is_some_and(|start| start.drop_frame),
            variable_rate: track.variable_rate,
            start_label: start.and_then(start_label),
        }
    }
}

/// What to say where a range of that size ends before the frame does.
fn too_small(met: &Met, start: u64, size: Option<u64>) -> Option<Cow<'static, str>> {
    let needed = met.found.frame.span.end.saturating_sub(start);
    (size? < needed).then(|| {
        format!("a range of that size ends before the frame does: ask for {needed} bytes or more")
            .into()
    })
}

/// The label of the first shown frame.
pub(super) fn start_label(start: &StartTimecode) -> Option<String> {
    let counting = Counting::new(start.rate, start.drop_frame).ok()?;
    Some(counting.label_of(start.frames % counting.day()).to_string())
}

fn length(sample: &Sample) -> u64 {
    sample.span.end.saturating_sub(sample.span.start)
}

impl From<Time> for Moment {
    fn from(time: Time) -> Moment {
        Moment { seconds: time, ticks: time.ticks, timescale: time.scale }
    }
}

/// As the time shows itself: asked for again, it finds the same frame.
fn seconds<S: Serializer>(time: &Time, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.to_string().parse().unwrap_or(f64::MAX))
}

pub(super) fn as_text<S: Serializer>(rate: &Option<Rate>, to: S) -> Result<S::Ok, S::Error> {
    match rate {
        Some(rate) => to.collect_str(rate),
        None => to.serialize_none(),
    }
}
