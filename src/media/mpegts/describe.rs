//! What is told of a file for people and players: its streams, their rates, and how long it lasts.

use super::codec::Codec;
use super::es::audio;
use super::gathered::Gathered;
use super::open::{File, Progress};
use super::pass::Times;
use super::pes::{self, HERTZ, Reading};
use super::tables::Stream;
use super::walk::Walk;
use super::{Core, Frames, rate};
use crate::media::{Container, Error, Kind, Layout, Presentation, Rounding, Time, Track};

/// A PES packet of sound is not longer, nor spread over more of the file.
const SOUND: usize = 128 << 10;
const SPREAD: u64 = 2 << 20;
/// How long the only picture of a stream is shown that doesn't tell its rate.
const LONE: i64 = HERTZ as i64 / 25;

/// The index, out of what a pass has left; `before` is that of the file when it was shorter.
pub fn core(
    file: &File<'_>,
    progress: Progress,
    gathered: Gathered,
    frames: Frames,
    before: Option<&Core>,
) -> Result<Core, Error> {
    let pass = &progress.pass;
    let Some(main) = &pass.main else { return Err(Error::NoTrack) };
    let shown = gathered.runs.iter().map(|run| run.shown);
    let (first, last) = shown.fold((i64::MAX, i64::MIN), |a, b| (a.0.min(b.0), a.1.max(b.1)));
    let zero = pass.times.iter().flatten().map(|times| times.first).fold(first, i64::min);
    let before = before.filter(|_| file.growing);
    let edge = edge(&gathered);
    let mut times = match &frames {
        Frames::Samples(samples) => samples.times(),
        Frames::Search(_) => gathered.times(),
    };
    if file.growing {
        times.truncate(times.partition_point(|&shown| shown < edge));
    }
    let before = before.map(|before| &before.presentation);
    let told = before.map(Presentation::main_track);
    let (rate, variable) = match (main.codec.kind(), told) {
        (Kind::Video, Some(told)) if matches!(frames, Frames::Search(_)) => {
            (told.frame_rate, told.variable_rate)
        }
        (Kind::Video, _) => rate::measure(&times, main.sniffer.rate()),
        _ => (None, false),
    };
    let frame = rate.and_then(|rate| rate.time_of(1));
    let frame = frame.and_then(|time| time.ticks_at(HERTZ, Rounding::Nearest));
    let fields = if gathered.last.is_some_and(|unit| unit.second) { 2 } else { 1 };
    let program = pass.tables.programs_of(main.pid).last();
    let (mut tracks, mut place, mut end) = (Vec::new(), None, last + 1);
    for (at, stream) in pass.tables.streams().iter().enumerate() {
        let times = pass.times.get(at).copied().flatten();
        let mut track = Track {
            id: stream.pid.into(),
            codec: stream.codec.name(),
            kind: stream.codec.kind(),
            language: stream.language.clone(),
            ..Track::default()
        };
        let mut lasts = times.map_or(0, |times| times.step);
        if stream.pid == main.pid {
            place = Some(at);
            track.codec = main.sniffer.codec().unwrap_or(track.codec);
            track.dimensions = main.sniffer.dimensions();
            (track.frame_rate, track.variable_rate) = (rate, variable);
            let lone = if lasts > 0 { lasts } else { LONE };
            lasts = frame.map_or(lone, |frame| frame / fields);
        }
        let known = before.and_then(|before| before.tracks.iter().find(|it| it.id == track.id));
        if let Some(known) = known.filter(|known| known.sample_rate.is_some()) {
            track.codec.clone_from(&known.codec);
            (track.sample_rate, track.channels) = (known.sample_rate, known.channels);
        } else if track.kind == Kind::Audio
            && let Some(times) = times
            && let Some((ticks, frame)) = sound(file, stream, times)?
        {
            (track.codec, lasts) = (frame.codec, ticks);
            (track.sample_rate, track.channels) = (Some(frame.rate), Some(frame.channels));
        }
        if let Some(times) = times.filter(|_| track.kind != Kind::Other) {
            // Another program's time is not this one's.
            if pass.tables.programs_of(stream.pid).any(|other| Some(other) == program) {
                end = end.max(times.last + lasts);
            }
            track.duration = Some(Time::new(times.last + lasts - times.first, HERTZ));
        }
        tracks.push(track);
    }
    let (shown, syncs) = match &frames {
        Frames::Samples(samples) => (Some(samples.frames()), Some(samples.syncs() as u64)),
        Frames::Search(_) => (None, None),
    };
    let layout = Layout {
        container: Container::MpegTs,
        brand: Some(file.framing.stride.to_string()),
        fragmented: false,
        tables: None,
        frames: shown,
        sync_samples: syncs,
    };
    let main = place.ok_or(Error::NoTrack)?;
    let length = file.source.length();
    let File { framing, begin, growing, .. } = *file;
    let end = if growing { edge } else { end };
    let duration = Some(Time::new(end.saturating_sub(zero), HERTZ));
    // A transport stream has no timecode track; what MPEG-2's groups of pictures say is not trusted.
    let presentation = Presentation { tracks, main, start: None, layout, duration };
    Ok(Core { framing, begin, growing, length, zero, first, end, presentation, frames, progress })
}

/// Where the stream has come to: whatever follows is decoded, and so shown, no sooner than the last sample is decoded,
/// and all before that one is whole.
fn edge(gathered: &Gathered) -> i64 {
    let decoded = gathered.runs.last().map_or(i64::MIN, |run| run.decoded.1);
    decoded.saturating_sub(gathered.jitter)
}

/// How long a stream's last PES packet is heard, and what its first frame says.
fn sound(
    file: &File<'_>,
    stream: &Stream,
    times: Times,
) -> Result<Option<(i64, audio::Frame)>, Error> {
    if matches!(stream.codec, Codec::Audio(_)) {
        return Ok(None);
    }
    let end = times.place + SPREAD;
    let mut walk = Walk::new(file.source, file.framing, times.place, end, 16 << 10);
    let mut bytes: Vec<u8> = Vec::new();
    while let Some((at, packet)) = walk.step()? {
        if packet.pid() == stream.pid {
            if packet.begins() && at > times.place || bytes.len() > SOUND {
                break;
            }
            bytes.extend_from_slice(packet.payload());
        }
    }
    let Reading::Header(header) = pes::read(&bytes) else { return Ok(None) };
    let body = bytes.get(header.body..).unwrap_or(&[]);
    let first = (0..body.len())
        .find_map(|at| audio::frame(stream.codec, body.get(at..)?).filter(|frame| frame.rate > 0));
    Ok(audio::ticks(stream.codec, body, HERTZ).zip(first))
}
