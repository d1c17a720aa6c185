//! The offsets in `fixtures/expected.json`, which ffprobe gave: the readers answer the same for every frame of every
//! film, at its own time and one tick before it.

use reelmap::media::{self, Found, Index, Rate, Sample, Time};
use serde_json::Value;
use std::{fs, ops::Range, path::Path};

/// A value of this type is one packet as ffprobe tells it, its time counted from the presentation's zero.
struct Packet {
    /// The number burnt into the picture; below zero where an edit list hides it.
    frame: i64,
    ticks: i64,
    offset: u64,
    size: u64,
    sync: bool,
}

struct Film {
    name: String,
    bytes: Vec<u8>,
    scale: u32,
    facts: Value,
    /// In presentation order.
    packets: Vec<Packet>,
}

fn films() -> Vec<Film> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let expected = fs::read(folder.join("expected.json")).unwrap();
    let Value::Object(films) = serde_json::from_slice(&expected).unwrap() else { unreachable!() };
    let film = |(name, facts): (String, Value)| {
        let scale = facts["time_base"].as_str().unwrap().strip_prefix("1/").unwrap();
        let scale: u32 = scale.parse().unwrap();
        // MPEG-TS has a clock that starts anywhere.
        let start: f64 = facts["start_time"].as_str().unwrap().parse().unwrap();
        let is_stream = facts["container"] == "mpegts";
        let zero = if is_stream { (start * f64::from(scale)).round() as i64 } else { 0 };
        let packet = |row: &Value| Packet {
            frame: row[0].as_i64().unwrap(),
            ticks: row[1].as_i64().unwrap() - zero,
            offset: row[3].as_u64().unwrap(),
            size: row[4].as_u64().unwrap(),
            sync: row[5].as_bool().unwrap(),
        };
        let mut packets: Vec<_> = facts["packets"].as_array().unwrap().iter().map(packet).collect();
        packets.sort_by_key(|packet| packet.ticks);
        Film { bytes: fs::read(folder.join(&name)).unwrap(), name, scale, facts, packets }
    };
    films.into_iter().map(film).collect()
}

impl Film {
    fn index(&self) -> Box<dyn Index> {
        media::open(&self.bytes).unwrap()
    }

    fn shown(&self) -> impl Iterator<Item = &Packet> {
        self.packets.iter().filter(|packet| packet.frame >= 0)
    }

    fn sync_for(&self, packet: &Packet) -> &Packet {
        let mut before = self.packets.iter().filter(|sync| sync.sync && sync.ticks <= packet.ticks);
        before.next_back().unwrap()
    }

    fn is(&self, extension: &str) -> bool {
        self.name.ends_with(extension)
    }

    #[track_caller]
    fn assert_sample(&self, sample: &Sample, wanted: &Packet) {
        let Range { start, end } = sample.span;
        let told = format!("{}: {sample:?} for frame {}", self.name, wanted.frame);
        assert_eq!(start, wanted.offset, "{told}");
        assert_eq!(sample.time, Time::new(wanted.ticks, self.scale), "{told}");
        let (length, size) = (end - start, wanted.size);
        if self.is(".ts") || self.is(".m2ts") {
            // With the headers of TS and PES, and the packets of other streams in between.
            assert!(length > size, "{told}");
        } else if self.is(".mkv") || self.is(".webm") {
            // The track, the time and the flags stand before the picture.
            assert_eq!(length, size + 4, "{told}");
        } else {
            assert_eq!(length, size, "{told}");
        }
    }

    #[track_caller]
    fn assert_found(&self, found: &Found, wanted: &Packet) {
        assert_eq!(found.number, wanted.frame as u64, "{}", self.name);
        assert!(!found.later);
        self.assert_sample(&found.frame, wanted);
        self.assert_sample(&found.sync, self.sync_for(wanted));
    }
}

#[test]
fn each_frame_is_found_by_its_time_and_by_its_number() {
    for film in films() {
        let index = film.index();
        let mut before = None;
        for packet in film.shown() {
            let at = |ticks| index.find(&film.bytes, Time::new(ticks, film.scale)).unwrap();
            film.assert_found(&at(packet.ticks).unwrap(), packet);
            if packet.ticks > 0 {
                // Where nothing is shown yet, what comes first.
                let found = at(packet.ticks - 1).unwrap();
                let wanted = before.unwrap_or(packet);
                let later = before.is_none();
                film.assert_found(&Found { later: found.later && !later, ..found }, wanted);
            }
            let found = index.frame(&film.bytes, packet.frame as u64).unwrap().unwrap();
            film.assert_found(&found, packet);
            before = Some(packet);
        }
        let count = film.facts["frames"].as_u64().unwrap();
        assert_eq!(before.unwrap().frame as u64 + 1, count, "{}", film.name);
        assert_eq!(index.frame(&film.bytes, count).unwrap(), None, "{}", film.name);
    }
}

#[test]
fn the_sync_samples_that_are_shown_are_listed() {
    for film in films() {
        let list = film.index().sync_samples(&film.bytes, Time::ZERO, usize::MAX).unwrap();
        let wanted: Vec<_> = film.shown().filter(|packet| packet.sync).collect();
        assert_eq!(list.len(), wanted.len(), "{}", film.name);
        list.iter().zip(wanted).for_each(|(sample, wanted)| film.assert_sample(sample, wanted));
    }
}

#[test]
fn the_rate_and_the_start_timecode_are_those_of_the_film() {
    for film in films() {
        let index = film.index();
        let rate = film.facts["frame_rate"].as_str().unwrap();
        let (numerator, denominator) = rate.split_once('/').unwrap_or((rate, "1"));
        let rate = Rate::new(numerator.parse().unwrap(), denominator.parse().unwrap());
        assert_eq!(index.main_track().frame_rate, rate, "{}", film.name);
        assert!(!index.main_track().variable_rate, "{}", film.name);
        let start = index.start_timecode().map(|start| (start.frames, start.drop_frame));
        let wanted = match film.facts["timecode"].as_str() {
            Some("01:00:00:00") => Some((90_000, false)),
            Some("00:00:58;00") => Some((58 * 30, true)),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(start, wanted, "{}", film.name);
    }
}

#[test]
fn a_time_outside_has_no_answer() {
    for film in films() {
        let index = film.index();
        let end = index.duration().unwrap();
        let last = film.packets.last().unwrap();
        let at = |time| index.find(&film.bytes, time).unwrap();
        let inside = at(Time::new(end.ticks - 1, end.scale)).unwrap();
        film.assert_sample(&inside.frame, last);
        assert_eq!(at(end), None, "{}", film.name);
        assert_eq!(at(Time::new(-1, 1)), None, "{}", film.name);
    }
}
