//! The index as a whole: against what was written, against itself made in another way, against files that
//! lie, grow, or are too long to read.

use super::core::Frames;
use super::open::File;
use super::testing::*;
use super::*;
use crate::media::Kind;
use crate::media::Rate;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const FRAME: i64 = 3600;

fn time(ticks: i64) -> Time {
    Time::new(ticks, HERTZ)
}

/// The sample with the greatest time at or before this one.
fn at(written: &[Written], shown: i64, sync: bool) -> Option<&Written> {
    let fits = written.iter().filter(|w| w.shown <= shown && (w.sync || !sync));
    fits.max_by_key(|w| (w.shown, w.span.start))
}

fn agree(film: &TransportStream, source: &dyn Source, written: &[Written], zero: i64) {
    let first = written.iter().map(|w| w.shown).min().unwrap();
    // A search reads for each answer: a few will do.
    let each = if matches!(film.core.frames, Frames::Search(_)) { 11 } else { 1 };
    let shown = written.iter().flat_map(|w| [w.shown, w.shown - 1, w.shown + 1]);
    for shown in shown.step_by(each) {
        let Some(found) = film.find(source, time(shown - zero)).unwrap() else {
            assert!(shown < zero, "{shown} has no answer");
            continue;
        };
        let frame = at(written, shown.max(first), false).unwrap();
        assert_eq!((found.frame.time, &found.frame.span), (time(frame.shown - zero), &frame.span));
        let sync = at(written, shown.max(first), true);
        assert_eq!(found.later, sync.is_none());
        let sync = sync.or(written.iter().filter(|w| w.sync).min_by_key(|w| w.shown)).unwrap();
        assert_eq!((found.sync.time, &found.sync.span), (time(sync.shown - zero), &sync.span));
        assert_eq!(film.frame(source, found.number).unwrap().unwrap().frame, found.frame);
    }
    let mut syncs: Vec<_> = written.iter().filter(|w| w.sync).collect();
    syncs.sort_by_key(|w| w.shown);
    let found = film.sync_samples(source, Time::ZERO, usize::MAX).unwrap();
    let found: Vec<_> = found.iter().map(|sample| (sample.time, sample.span.start)).collect();
    let wanted: Vec<_> = syncs.iter().map(|w| (time(w.shown - zero), w.span.start)).collect();
    assert_eq!(found, wanted);
    for &(at, start) in &wanted {
        let found = film.sync_samples(source, at, 1).unwrap();
        assert_eq!(found[0].span.start, start);
    }
}

fn whole(source: &dyn Source) -> TransportStream {
    let file = File::new(source).unwrap();
    let core = file.whole(&file.survey().unwrap()).unwrap();
    TransportStream { core, read_whole: Once::default() }
}

fn sparse(source: &dyn Source) -> TransportStream {
    let file = File::new(source).unwrap();
    let core = super::sparse::index(&file, &file.survey().unwrap()).unwrap().unwrap();
    assert!(matches!(core.frames, Frames::Search(_)));
    let film = TransportStream { core, read_whole: Once::default() };
    assert!(!film.is_in_memory());
    film
}

#[test]
fn every_packet_size_and_every_way() {
    for stride in [188, 192, 204] {
        for first in [90_000, (1 << 33) - 100 * FRAME] {
            let mut mux = Mux::new(stride);
            let written = film(&mut mux, first, FRAME, 400, 6000);
            assert!(mux.bytes.len() > 3 << 20);
            agree(&whole(&mux.bytes), &mux.bytes, &written, first);
            agree(&sparse(&mux.bytes), &mux.bytes, &written, first);
        }
    }
}

#[test]
fn packets_that_are_sent_twice_are_one() {
    for (stride, of) in [(188, 1), (188, 3), (192, 2), (204, 2)] {
        let mut mux = Mux::new(stride);
        // Tables of several packets.
        mux.tables(&[(0x1b, PICTURES, &[]), (0x0f, SOUND, &[9; 250])]);
        let written = film(&mut mux, 90_000, FRAME, 400, 6000);
        let once = whole(&mux.bytes);
        let twice = twice(&mux.bytes, stride, of);
        let written: Vec<_> =
            written.iter().map(|w| Written { span: twice.span(&w.span), ..w.clone() }).collect();
        assert_eq!(whole(&twice.bytes).tracks(), once.tracks());
        for made in [whole(&twice.bytes), sparse(&twice.bytes)] {
            agree(&made, &twice.bytes, &written, 90_000);
            assert_eq!(made.duration(), once.duration());
            for end in (written[0].span.end + 500..twice.bytes.len() as u64).step_by(100_003) {
                let edge = made.latest_sync(&twice.bytes, end, 0).unwrap().unwrap();
                let start = edge.sync.span.start;
                assert!(written.iter().any(|w| w.sync && w.span.start == start), "{start}");
            }
        }
    }
}

#[test]
fn pictures_longer_than_a_look() {
    let mut mux = Mux::new(188);
    let written = film(&mut mux, 90_000, FRAME, 40, 150_000);
    agree(&sparse(&mux.bytes), &mux.bytes, &written, 90_000);
}

/// A film of large pictures; its sound is named as private data, begins a little before them, and comes after so many.
fn late_sound(after: i64) -> Vec<u8> {
    let mut mux = Mux::new(192);
    mux.tables(&[(0x1b, PICTURES, &[]), (0x06, SOUND, &[])]);
    for k in 0..60 {
        mux.pes(PICTURES, Some(90_000 + k * FRAME), None, &picture(k % 12 == 0, 150_000));
        if k >= after {
            let shown = 90_000 + (k - after) * FRAME - 2070;
            mux.pes(SOUND, Some(shown), None, &[0x55; 900]);
        }
    }
    mux.bytes
}

#[test]
fn time_begins_with_sound_that_nothing_names() {
    for after in [0, 12, 23] {
        let bytes = late_sound(after);
        for film in [whole(&bytes), sparse(&bytes)] {
            assert_eq!(film.core.zero, 90_000 - 2070, "after {after} pictures");
        }
    }
}

#[test]
fn fields_of_a_frame_are_one_sample() {
    let mut mux = Mux::new(188);
    let written = fields(&mut mux, 90_000, FRAME, 200);
    agree(&whole(&mux.bytes), &mux.bytes, &written, 90_000);
    agree(&sparse(&mux.bytes), &mux.bytes, &written, 90_000);
}

#[test]
fn a_film_that_is_joined_in_the_middle() {
    let mut mux = Mux::new(188);
    let written = film(&mut mux, 90_000, FRAME, 200, 9000);
    // Cut inside the first picture: its sound is where time begins, and the next sync sample comes later.
    let cut = written[0].span.end - 188;
    let bytes = mux.bytes[cut as usize..].to_vec();
    let rest = written[1..]
        .iter()
        .map(|w| Written { span: w.span.start - cut..w.span.end - cut, ..w.clone() });
    let rest: Vec<_> = rest.collect();
    agree(&whole(&bytes), &bytes, &rest, 90_000);
    agree(&sparse(&bytes), &bytes, &rest, 90_000);
    let found = whole(&bytes).find(&bytes, Time::ZERO).unwrap().unwrap();
    assert!(found.later && found.sync.time > found.frame.time);
}

#[test]
fn spans_reach_to_the_last_frame_asked() {
    let mut mux = Mux::new(188);
    let written = film(&mut mux, 90_000, FRAME, 200, 9000);
    for film in [whole(&mux.bytes), sparse(&mux.bytes)] {
        for (from, to) in [(0, 1), (5, 20), (30, 31), (33, 36), (100, 199)] {
            let shown = |k: i64| 90_000 + k * FRAME;
            let span = film.span(&mux.bytes, time(from * FRAME), Some(time(to * FRAME))).unwrap();
            let start = at(&written, shown(from), true).unwrap().span.start;
            let inside = written.iter().filter(|w| (shown(from)..shown(to)).contains(&w.shown));
            let end = inside.map(|w| w.span.end).max().unwrap();
            assert_eq!(span, Some(start..end), "{from} to {to}");
        }
        let to_end = film.span(&mux.bytes, Time::ZERO, None).unwrap();
        assert_eq!(to_end, Some(written[0].span.start..mux.at()));
        assert_eq!(film.span(&mux.bytes, time(FRAME), Some(time(FRAME))).unwrap(), None);
        assert_eq!(film.span(&mux.bytes, time(FRAME * 1000), None).unwrap(), None);
    }
}

#[test]
fn a_description() {
    let mut mux = Mux::new(192);
    film(&mut mux, 90_000, FRAME, 100, 12_000);
    let made = whole(&mux.bytes);
    let track = made.main_track();
    assert_eq!((track.id, track.kind, track.frame_rate), (0x100, Kind::Video, Rate::new(25, 1)));
    assert_eq!((made.tracks().len(), &made.tracks()[1].codec[..]), (2, "mp4a.40.2"));
    assert_eq!(made.layout().brand.as_deref(), Some("192"));
    assert_eq!((made.layout().frames, made.layout().sync_samples), (Some(100), Some(9)));
    // The last picture lasts as long as the others.
    assert_eq!(made.duration(), Some(time(100 * FRAME)));
    assert_eq!(sparse(&mux.bytes).duration(), made.duration());
    assert_eq!(made.find(&mux.bytes, time(100 * FRAME)).unwrap(), None);
    assert_eq!(made.find(&mux.bytes, time(-1)).unwrap(), None);
}

#[test]
fn a_stream_goes_on_under_another_pid() {
    let mut mux = Mux::new(188);
    mux.tables(&[(0x1b, 0x100, &[])]);
    let first = mux.pes(0x100, Some(0), None, &picture(true, 400));
    mux.tables(&[(0x1b, 0x200, &[])]);
    let second = mux.pes(0x200, Some(FRAME), None, &picture(true, 400));
    mux.tables(&[(0x24, 0x200, &[])]);
    let hevc = [0, 0, 1, 19 << 1, 1, 0x80, 0, 0];
    let third = mux.pes(0x200, Some(2 * FRAME), None, &hevc);
    let made = whole(&mux.bytes);
    let syncs = made.sync_samples(&mux.bytes, Time::ZERO, 9).unwrap();
    let spans: Vec<_> = syncs.into_iter().map(|sync| sync.span).collect();
    assert_eq!(spans, [first, second, third]);
}

#[test]
fn samples_are_pes_packets_with_a_time() {
    let mut mux = Mux::new(188);
    mux.tables(&[(0x1b, 0x100, &[])]);
    let first = mux.pes(0x100, Some(0), None, &picture(true, 1000));
    let more = mux.pes(0x100, None, None, &picture(true, 500));
    mux.packet(0x100, false, &[]);
    let second = mux.pes(0x100, Some(FRAME), None, &picture(false, 1000));
    let made = whole(&mux.bytes);
    let found = made.find(&mux.bytes, Time::ZERO).unwrap().unwrap();
    assert_eq!(found.frame.span, first.start..more.end);
    let found = made.find(&mux.bytes, time(FRAME)).unwrap().unwrap();
    assert_eq!((found.frame.span, found.number), (second, 1));
}

#[test]
fn sound_alone_is_a_film_too() {
    let mut mux = Mux::new(188);
    mux.tables(&[(0x1b, 0x100, &[]), (0x0f, SOUND, &[])]);
    let frame = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x7f, 0xfc, 0, 0, 0, 0];
    let spans: Vec<_> = (0..3).map(|k| mux.pes(SOUND, Some(k * 2090), None, &frame)).collect();
    let made = whole(&mux.bytes);
    assert_eq!((made.main_track().id, made.main_track().kind), (0x101, Kind::Audio));
    assert_eq!(made.main_track().sample_rate, Some(44100));
    let found = made.find(&mux.bytes, time(2100)).unwrap().unwrap();
    assert_eq!((&found.frame.span, &found.sync.span), (&spans[1], &spans[1]));
    assert_eq!(made.duration(), Some(time(2 * 2090 + 1024 * 90_000 / 44100)));
}

#[test]
fn sound_without_a_type_is_a_film_where_the_pictures_never_come() {
    let mut mux = Mux::new(192);
    mux.tables(&[(0x02, 0x100, &[]), (0x06, SOUND, &[])]);
    let frame = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x7f, 0xfc, 0, 0, 0, 0];
    let spans: Vec<_> = (0..3).map(|k| mux.pes(SOUND, Some(k * 2090), None, &frame)).collect();
    let made = whole(&mux.bytes);
    assert_eq!((made.main_track().id, made.main_track().kind), (0x101, Kind::Audio));
    let found = made.find(&mux.bytes, time(2100)).unwrap().unwrap();
    assert_eq!((&found.frame.span, &found.sync.span), (&spans[1], &spans[1]));
}

#[test]
fn a_wrap_may_lie_between_where_two_programs_begin() {
    let mut mux = Mux::new(188);
    mux.section(0, &pat(&[(1, 0x20), (2, 0x21)]));
    mux.section(0x20, &pmt(1, 0x100, &[(0x1b, 0x100, &[])]));
    mux.section(0x21, &pmt(2, SOUND, &[(0x0f, SOUND, &[])]));
    let stamp = |time: i64| Some(time.rem_euclid(pes::WRAP));
    let frame = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x7f, 0xfc, 0, 0, 0, 0];
    let mut spans = Vec::new();
    for k in 0..20 {
        spans.push(mux.pes(0x100, stamp(k * FRAME - 27_000), None, &picture(k == 0, 300)));
        mux.pes(SOUND, stamp(k * FRAME), None, &frame);
    }
    let made = whole(&mux.bytes);
    let found = made.find(&mux.bytes, time(9 * FRAME)).unwrap().unwrap();
    assert_eq!((&found.frame.span, &found.sync.span, found.later), (&spans[9], &spans[0], false));
}

#[test]
fn what_cannot_be_read_says_why() {
    let refused = |bytes: Vec<u8>| open(&bytes).unwrap_err();
    assert!(matches!(refused(vec![0; 10_000]), Error::Unknown));
    assert!(matches!(refused(Vec::new()), Error::Unknown));
    let mut mux = Mux::new(188);
    mux.tables(&[(0x1b, 0x100, &[])]);
    assert!(matches!(refused(mux.bytes.clone()), Error::NoTrack));
    // Scrambled from the first picture on.
    let from = mux.at();
    film(&mut mux, 0, FRAME, 30, 500);
    for packet in mux.bytes.as_chunks_mut::<188>().0 {
        if packet[1] & 0x1f == 1 {
            packet[3] |= 0x80;
        }
    }
    let tables = 2 * 188;
    let wanted = from + tables;
    assert!(matches!(refused(mux.bytes), Error::Broken { offset, .. } if offset == wanted));
}

#[test]
fn a_film_grows() {
    let mut mux = Mux::new(188);
    film(&mut mux, 90_000, FRAME, 150, 800);
    let all = mux.bytes;
    let mut made = None;
    for end in (2000..all.len()).step_by(7919).chain([all.len()]) {
        let now = all[..end].to_vec();
        let grown = match &made {
            None => open(&now).unwrap(),
            Some(made) => TransportStream::grown(made, &now).unwrap(),
        };
        let anew = open(&now).unwrap();
        assert_eq!(grown.duration(), anew.duration());
        assert_eq!(grown.layout(), anew.layout());
        assert_eq!(grown.tracks(), anew.tracks());
        for k in [0, 10, 50, 149] {
            let asked = |film: &TransportStream| film.find(&now, time(k * FRAME)).unwrap();
            assert_eq!(asked(&grown), asked(&anew), "{end} {k}");
        }
        made = Some(grown);
    }
}

#[test]
fn a_long_film_grows() {
    let mut mux = Mux::new(188);
    let written = film(&mut mux, 90_000, FRAME, 400, 9000);
    let all = mux.bytes;
    let mut made = sparse(&all[..all.len() / 2].to_vec());
    for end in [all.len() * 2 / 3, all.len() * 2 / 3 + 100, all.len()] {
        made = made.grown(&all[..end].to_vec()).unwrap();
        assert!(matches!(made.core.frames, Frames::Search(_)));
    }
    agree(&made, &all, &written, 90_000);
    assert_eq!(made.duration(), whole(&all).duration());
}

#[test]
fn the_live_edge() {
    let mut mux = Mux::new(188);
    let written = film(&mut mux, 90_000, FRAME, 100, 9000);
    let made = whole(&mux.bytes);
    for end in (written[0].span.end + 188..mux.at()).step_by(30_011) {
        let syncs = written.iter().filter(|w| w.sync && w.span.start + 188 <= end);
        let wanted = syncs.max_by_key(|w| w.span.start).unwrap();
        let edge = made.latest_sync(&mux.bytes, end, 0).unwrap().unwrap();
        // An earlier look that found none takes nothing from it.
        let since = made.latest_sync(&mux.bytes, end, edge.sync.span.start).unwrap();
        assert_eq!(since.as_ref(), Some(&edge));
        assert_eq!(
            (edge.sync.span.start, edge.sync.time),
            (wanted.span.start, time(wanted.shown - 90_000))
        );
        let (programs, streams) = (edge.programs.unwrap(), edge.streams.unwrap());
        assert!(programs < streams && streams < wanted.span.start);
        let between = mux.bytes[programs as usize..wanted.span.start as usize].as_chunks::<188>().0;
        let newer = between.iter().filter(|packet| packet[1..3] == [0x40, 0]).count();
        assert_eq!(newer, 1, "the newest PAT before it");
    }
    assert_eq!(made.latest_sync(&mux.bytes, 188, 0).unwrap(), None);
    assert_eq!(made.latest_sync(&mux.bytes, mux.at(), u64::MAX).unwrap(), None);
}

/// A value of this type is a film of many gigabytes: one group of pictures over and over, its stamps set
/// when it is read. Counts the bytes that were read.
struct Endless {
    group: Vec<u8>,
    /// Where stamps stand in the group, and what they are.
    stamps: Vec<(usize, i64)>,
    groups: u64,
    ticks: i64,
    /// From this group on time begins again.
    back: u64,
    read: AtomicU64,
}

impl Endless {
    fn new(groups: u64, size: usize) -> Self {
        let mut mux = Mux::new(188);
        mux.tables(&[(0x1b, PICTURES, &[]), (0x0f, SOUND, &[])]);
        let mut stamps = Vec::new();
        for k in 0..25 {
            let at = mux.at() as usize;
            mux.pes(
                PICTURES,
                Some(0),
                None,
                &picture(k == 0, if k == 0 { 4 * size } else { size }),
            );
            stamps.push((at + 4 + 9, k * FRAME));
            let at = mux.at() as usize;
            mux.pes(SOUND, Some(0), None, &[0x55; 100]);
            let start = mux.bytes[at..].windows(4).position(|b| b == [0, 0, 1, 0xc0]).unwrap();
            stamps.push((at + start + 9, k * FRAME));
        }
        let (group, read) = (mux.bytes, AtomicU64::new(0));
        Endless { group, stamps, groups, ticks: 25 * FRAME, back: u64::MAX, read }
    }

    fn start(&self, group: u64) -> u64 {
        group * self.group.len() as u64
    }
}

impl Source for Endless {
    fn length(&self) -> u64 {
        self.start(self.groups)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let length = self.group.len() as u64;
        let count = (self.length().saturating_sub(offset)).min(buffer.len() as u64) as usize;
        self.read.fetch_add(count as u64, Relaxed);
        let mut at = 0;
        while at < count {
            let (group, inside) =
                ((offset + at as u64) / length, ((offset + at as u64) % length) as usize);
            let part = (count - at).min(self.group.len() - inside);
            buffer[at..at + part].copy_from_slice(&self.group[inside..inside + part]);
            let turn = if group >= self.back { group - self.back } else { group };
            for &(place, stamp) in &self.stamps {
                let bytes =
                    &header(0, Some(90_000 + stamp + turn as i64 * self.ticks), None)[9..14];
                for (k, byte) in bytes.iter().enumerate() {
                    if (inside..inside + part).contains(&(place + k)) {
                        buffer[at + place + k - inside] = *byte;
                    }
                }
            }
            at += part;
        }
        Ok(count)
    }
}

#[test]
fn the_first_answer_of_ten_gibibytes_reads_little() {
    let groups = (10 << 30) / Endless::new(1, 38_000).group.len() as u64;
    for asked in [0, 1, groups / 3, groups / 2 + 7, groups - 1] {
        let file = Endless::new(groups, 38_000);
        let made = open(&file).unwrap();
        let found =
            made.find(&file, time(asked as i64 * file.ticks + 20 * FRAME + 5)).unwrap().unwrap();
        assert_eq!(found.sync.span.start, file.start(asked) + 2 * 188);
        assert_eq!(
            (found.number, found.frame.time),
            (asked * 25 + 20, time((asked * 25 + 20) as i64 * FRAME))
        );
        let read = file.read.load(Relaxed);
        assert!(read <= 4 << 20, "{read} bytes for group {asked}");
        assert!(made.weight() < 1 << 20);
        assert_eq!(made.duration(), Some(time(groups as i64 * file.ticks)));
    }
}

#[test]
fn time_goes_on_over_many_wraps() {
    // Eighty hours: a group of pictures a minute.
    let mut file = Endless::new(80 * 60, 1000);
    file.ticks = 60 * 90_000;
    let made = open(&file).unwrap();
    assert!(matches!(made.core.frames, Frames::Search(_)));
    for group in [0, 17, 1589, 1590, 1591, 3200, 4799] {
        let found = made.find(&file, time(group as i64 * file.ticks)).unwrap().unwrap();
        assert_eq!(found.sync.span.start, file.start(group) + 2 * 188, "{group}");
    }
}

#[test]
fn runs_of_time_that_goes_back_are_searched_each() {
    let mut file = Endless::new(100, 1000);
    file.back = 40;
    let made = File::new(&file).unwrap();
    let (progress, gathered) = made.read(&made.survey().unwrap()).unwrap();
    let core = made.runs(progress, gathered, None).unwrap();
    let Frames::Search(search) = &core.frames else { panic!() };
    assert_eq!(search.runs.len(), 2);
    let made = TransportStream { core, read_whole: Once::default() };
    // Both parts have the first time, and the later one in the file is given; only the second has the other.
    for (asked, group) in [(30, 70), (50, 90)] {
        let found = made.find(&file, time(asked * file.ticks + FRAME)).unwrap().unwrap();
        assert_eq!(found.sync.span.start, file.start(group) + 2 * 188);
    }
    assert_eq!(made.sync_samples(&file, Time::ZERO, 200).unwrap().len(), 100);
}

#[test]
fn a_file_whose_time_turns_out_to_go_back_is_read_whole() {
    let mut file = Endless::new(100, 4000);
    let made = sparse(&file);
    file.back = 50;
    assert_eq!(made.find(&file, time(55 * file.ticks)).unwrap(), None);
    assert!(made.read_whole.get().is_some());
    let found = made.find(&file, time(45 * file.ticks)).unwrap().unwrap();
    assert_eq!(found.sync.span.start, file.start(95) + 2 * 188);
    // Where it is seen at once, nothing is made of it.
    let opened = File::new(&file).unwrap();
    assert!(super::sparse::index(&opened, &opened.survey().unwrap()).unwrap().is_none());
}

/// Deterministic noise (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

#[test]
fn broken_files_do_no_harm() {
    let mut seeds = Vec::new();
    for (stride, kind) in
        [(188, 0x1b), (192, 0x24), (188, 0x02), (188, 0x0f), (204, 0x10), (188, 0xea)]
    {
        let mut mux = Mux::new(stride);
        mux.tables(&[(kind, 0x100, b"\x05\x04HDMV"), (0x81, SOUND, b"\x0a\x04eng\x00")]);
        film(&mut mux, 90_000, FRAME, 40, 300);
        seeds.push(mux.bytes);
    }
    let mut noise = Noise(0x5eed);
    let rounds = if cfg!(debug_assertions) { 600 } else { 6000 };
    for round in 0..rounds {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..1 + noise.next(30) {
            let at = noise.next(bytes.len());
            match noise.next(6) {
                0 => bytes[at] = noise.next(256) as u8,
                // Packet headers, sections and PES headers are where most is decided.
                1 => {
                    let at = (at / 188 * 188 + noise.next(24)).min(bytes.len() - 1);
                    bytes[at] ^= 1 << noise.next(8);
                }
                2 => {
                    let end = (at + noise.next(400)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => bytes.truncate(at.max(2000)),
                4 => {
                    let end = (at + noise.next(1000)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => {
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].fill([0, 0xff, 0x47][noise.next(3)]);
                }
            }
            if bytes.len() < 2000 {
                break;
            }
        }
        let Ok(made) = open(&bytes) else { continue };
        assert!(made.weight() < 1 << 20);
        let inside = |sample: &Sample| {
            assert!(sample.span.start < sample.span.end && sample.span.end <= bytes.len() as u64);
        };
        for asked in [0, 1, 90_000, noise.next(1 << 20) as i64, i64::MAX] {
            for found in [made.find(&bytes, time(asked)), made.frame(&bytes, asked as u64)] {
                if let Some(found) = found.unwrap() {
                    inside(&found.frame);
                    inside(&found.sync);
                }
            }
            let _ = made.span(&bytes, time(asked), Some(time(asked.saturating_add(5000)))).unwrap();
        }
        made.sync_samples(&bytes, Time::ZERO, 10).unwrap().iter().for_each(inside);
        let _ = made.latest_sync(&bytes, bytes.len() as u64, 0).unwrap();
        let file = File::new(&bytes).unwrap();
        if let Ok(Some(core)) = super::sparse::index(&file, &file.survey().unwrap()) {
            let made = TransportStream { core, read_whole: Once::default() };
            for asked in [0, 5 * FRAME, 39 * FRAME] {
                let _ = made.find(&bytes, time(asked));
                let _ = made.sync_samples(&bytes, time(asked), 3);
            }
        }
    }
}
