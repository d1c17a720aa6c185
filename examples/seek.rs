//! Answers as JSON lines what a file shows at times read from standard input: `seek FILE < times`.
//!
//! A line of input is a time as `ticks/scale`, or a frame's number as `#number`, or `sync` for the list of
//! sync samples. The first line of output describes the file. tests/seek_table.py compares it with ffprobe.

use reelmap::media::{self, Found, Index, Sample, Source, Time};
use serde_json::{Value, json};
use std::{fs::File, io, os::unix::fs::FileExt};

struct OnDisk(File, u64);

impl Source for OnDisk {
    fn length(&self) -> u64 {
        self.1
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

fn main() -> anyhow::Result<()> {
    let path =
        std::env::args_os().nth(1).ok_or_else(|| anyhow::anyhow!("usage: seek FILE < times"))?;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let source = OnDisk(file, length);
    let index = match media::open(&source) {
        Ok(index) => index,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            return Ok(());
        }
    };
    println!("{}", describe(index.as_ref()));
    for line in io::stdin().lines() {
        println!("{}", answer(index.as_ref(), &source, line?.trim())?);
    }
    Ok(())
}

fn describe(index: &dyn Index) -> Value {
    let (track, layout) = (index.main_track(), index.layout());
    json!({
        "container": format!("{:?}", layout.container),
        "brand": layout.brand,
        "fragmented": layout.fragmented,
        "frames": layout.frames,
        "sync_samples": layout.sync_samples,
        "tracks": index.tracks().len(),
        "id": track.id,
        "kind": format!("{:?}", track.kind),
        "codec": track.codec,
        "rate": track.frame_rate.map(|rate| rate.to_string()),
        "variable": track.variable_rate,
        "duration": index.duration().map(|time| time.to_string()),
        "start": index.start_timecode().map(|start| json!([start.frames, start.rate.to_string(), start.drop_frame])),
        "weight": index.weight(),
    })
}

fn answer(index: &dyn Index, source: &dyn Source, line: &str) -> anyhow::Result<Value> {
    let found = if line == "sync" {
        let list = index.sync_samples(source, Time::ZERO, usize::MAX);
        return Ok(list.map_or_else(
            |error| json!({ "error": error.to_string() }),
            |list| list.iter().map(sample).collect(),
        ));
    } else if let Some(number) = line.strip_prefix('#') {
        index.frame(source, number.parse()?)
    } else {
        let (ticks, scale) =
            line.split_once('/').ok_or_else(|| anyhow::anyhow!("no time: {line}"))?;
        index.find(source, Time::new(ticks.parse()?, scale.parse()?))
    };
    Ok(match found {
        Ok(Some(Found { number, frame, sync, later })) => {
            json!({ "number": number, "frame": sample(&frame), "sync": sample(&sync), "later": later })
        }
        Ok(None) => Value::Null,
        Err(error) => json!({ "error": error.to_string() }),
    })
}

fn sample(sample: &Sample) -> Value {
    json!({
        "ticks": sample.time.ticks, "scale": sample.time.scale,
        "offset": sample.span.start, "length": sample.span.end - sample.span.start,
    })
}
