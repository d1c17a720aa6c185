//! Answers as people read them: a few lines of text.

use super::{
    answer::{Answer, Moment, Reply},
    info::{Info, Track},
};
use std::fmt;

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers = match self {
            Reply::One(answer) => std::slice::from_ref(&**answer),
            Reply::Several(answers) => answers,
        };
        for (place, answer) in answers.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            answer.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { asked, time, frame, sync, range, notes, .. } = self;
        writeln!(f, "asked  {asked}, at {}", s(time))?;
        let label = frame.label.as_ref().map(|label| format!(", {label}")).unwrap_or_default();
        writeln!(f, "frame  {} at {}{label}", frame.number, s(&frame.time))?;
        writeln!(f, "bytes  {} from {}", frame.byte_length, frame.byte_offset)?;
        let from = sync.byte_offset;
        writeln!(f, "sync   at {}: {} bytes from {from}", s(&sync.time), sync.byte_length)?;
        writeln!(f, "range  {range}")?;
        notes.iter().try_for_each(|note| writeln!(f, "note   {note}"))
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brand = self.brand.as_ref().map(|brand| format!(" ({brand})")).unwrap_or_default();
        let fragmented = if self.fragmented { ", fragmented" } else { "" };
        writeln!(
            f,
            "container  {}{brand}{fragmented}, {} bytes",
            self.container, self.byte_length
        )?;
        if let Some(tables) = &self.tables {
            let place = if tables.first { "before" } else { "behind" };
            let (length, offset) = (tables.byte_length, tables.byte_offset);
            writeln!(f, "tables     {length} bytes from {offset}, {place} the media")?;
        }
        if let Some(duration) = &self.duration {
            writeln!(f, "duration   {}", s(duration))?;
        }
        if let Some(start) = &self.start_timecode {
            let label = start.label.as_deref().unwrap_or("unknown");
            writeln!(f, "timecode   from {label}, at {} frames a second", start.frame_rate)?;
        }
        if let Some(frames) = self.frames {
            writeln!(f, "frames     {frames}")?;
        }
        let count = self.sync_samples.count.map(|count| format!("{count}, ")).unwrap_or_default();
        if let Some(spacing) = &self.sync_samples.spacing {
            let (least, most) = (s(&spacing.least), s(&spacing.most));
            let which = if spacing.all { "" } else { "the first " };
            writeln!(f, "sync       {count}{which}{} gaps {least} to {most}", spacing.gaps)?;
        }
        self.tracks.iter().try_for_each(|track| track.fmt(f))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note       {note}"))
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "track {:<4} {} {}", self.id, self.kind, self.codec)?;
        if let (Some(width), Some(height)) = (self.width, self.height) {
            write!(f, ", {width}x{height}")?;
        }
        if let Some(rate) = self.frame_rate {
            let variable = if self.variable_rate { ", variable" } else { "" };
            write!(f, ", {rate} frames a second{variable}")?;
        }
        if let Some(rate) = self.sample_rate {
            write!(f, ", {rate} Hz")?;
        }
        if let Some(channels) = self.channels {
            let s = if channels == 1 { "" } else { "s" };
            write!(f, ", {channels} channel{s}")?;
        }
        if let Some(language) = &self.language {
            write!(f, ", {language}")?;
        }
        writeln!(f)
    }
}

fn s(moment: &Moment) -> String {
    format!("{} s", moment.seconds)
}
