//! Hand-built boxes and what is read of them.

mod fragmented;
mod odd;

use super::*;
use crate::media::{Index, Rate, StartTimecode};
use std::{ops::Range, sync::Mutex};

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], &body].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A film of one track, as its tables tell it.
#[derive(Clone)]
struct Film {
    /// Duration, shift and size of each sample.
    samples: Vec<(u32, i32, u32)>,
    /// Samples a chunk, and each chunk's sample entry where that isn't always the first.
    chunk: u32,
    described: Vec<u32>,
    entries: Vec<[u8; 4]>,
    sync: Option<Vec<u32>>,
    /// Duration on the movie's clock of 1000, and media time.
    edits: Vec<(u32, i32)>,
    handler: [u8; 4],
    version: u8,
    long_offsets: bool,
    /// Bits a size; 32 for stsz.
    bits: u32,
    moov_first: bool,
    /// More boxes for the trak, and for the moov after it.
    in_trak: Vec<u8>,
    in_moov: Vec<u8>,
    /// Bytes at the mdat's beginning that are no samples.
    before: Vec<u8>,
}

/// Ten frames at 10 a second on a clock of 100, one in five a sync sample, two a chunk.
fn film() -> Film {
    Film {
        samples: (0..10).map(|k| (10, 0, 5 + k)).collect(),
        chunk: 2,
        described: vec![1],
        entries: vec![*b"avc1"],
        sync: Some(vec![1, 6]),
        edits: Vec::new(),
        handler: *b"vide",
        version: 0,
        long_offsets: false,
        bits: 32,
        moov_first: false,
        in_trak: Vec::new(),
        in_moov: Vec::new(),
        before: Vec::new(),
    }
}

/// Reordered: I P B B, shown at 0 3 1 2 and so on, the shifts all positive.
fn reordered() -> Film {
    let shifts = [10, 30, 0, 0].iter().cycle();
    let samples = shifts.take(12).map(|&shift| (10, shift, 5)).collect();
    Film { samples, sync: Some(vec![1, 5, 9]), ..film() }
}

impl Film {
    fn clock(&self, kind: &[u8; 4], scale: u32, rest: &[u8]) -> Vec<u8> {
        let head = match self.version {
            0 => words(&[0, 0, 0, scale, 0]),
            _ => words(&[1 << 24, 0, 0, 0, 0, scale, 0, 0]),
        };
        boxed(kind, &[&head, rest])
    }

    fn elst(&self) -> Vec<u8> {
        let mut body = words(&[u32::from(self.version) << 24, self.edits.len() as u32]);
        for &(duration, time) in &self.edits {
            match self.version {
                0 => body.extend(words(&[duration, time as u32])),
                _ => body.extend(
                    [u64::from(duration).to_be_bytes(), i64::from(time).to_be_bytes()].concat(),
                ),
            }
            body.extend(words(&[0x1_0000]));
        }
        if self.edits.is_empty() {
            Vec::new()
        } else {
            boxed(b"edts", &[&boxed(b"elst", &[&body])])
        }
    }

    fn sizes(&self) -> Vec<u8> {
        let sizes: Vec<u32> = self.samples.iter().map(|sample| sample.2).collect();
        let count = sizes.len() as u32;
        let packed = match self.bits {
            32 => words(&sizes),
            16 => sizes.iter().flat_map(|&size| (size as u16).to_be_bytes()).collect(),
            8 => sizes.iter().map(|&size| size as u8).collect(),
            _ => sizes
                .chunks(2)
                .map(|pair| (pair[0] << 4 | pair.get(1).unwrap_or(&0)) as u8)
                .collect(),
        };
        match self.bits {
            32 => boxed(b"stsz", &[&words(&[0, 0, count]), &packed]),
            bits => boxed(b"stz2", &[&words(&[0, bits, count]), &packed]),
        }
    }

    /// The moov, with the samples' bytes from `media` on.
    fn moov(&self, media: u64) -> Vec<u8> {
        let mut offsets = Vec::new();
        let mut at = media + self.before.len() as u64;
        for chunk in self.samples.chunks(self.chunk as usize) {
            offsets.push(at);
            at += chunk.iter().map(|sample| u64::from(sample.2)).sum::<u64>();
        }
        let count = offsets.len() as u32;
        let offsets = match self.long_offsets {
            true => boxed(
                b"co64",
                &[&words(&[0, count]), &offsets.map_bytes(|o| o.to_be_bytes().to_vec())],
            ),
            false => boxed(
                b"stco",
                &[&words(&[0, count]), &offsets.map_bytes(|o| (o as u32).to_be_bytes().to_vec())],
            ),
        };
        let total = self.samples.len() as u32;
        let times: Vec<u32> = self.samples.iter().flat_map(|sample| [1, sample.0]).collect();
        let shifts: Vec<u32> =
            self.samples.iter().flat_map(|sample| [1, sample.1 as u32]).collect();
        let shifted = self.samples.iter().any(|sample| sample.1 != 0);
        let entries: Vec<_> = self.entries.iter().map(|kind| boxed(kind, &[&[0; 78]])).collect();
        let chunks: Vec<u32> =
            (1..).zip(&self.described).flat_map(|(n, &entry)| [n, self.chunk, entry]).collect();
        let stbl = [
            boxed(b"stsd", &[&words(&[0, entries.len() as u32]), &entries.concat()]),
            boxed(b"stts", &[&words(&[0, total]), &words(&times)]),
            if shifted {
                boxed(b"ctts", &[&words(&[0, total]), &words(&shifts)])
            } else {
                Vec::new()
            },
            boxed(b"stsc", &[&words(&[0, self.described.len() as u32]), &words(&chunks)]),
            self.sizes(),
            offsets,
            match &self.sync {
                Some(list) => boxed(b"stss", &[&words(&[0, list.len() as u32]), &words(list)]),
                None => Vec::new(),
            },
        ];
        let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), &self.handler, &[0; 13]]);
        let minf = boxed(b"minf", &[&boxed(b"stbl", &[&stbl.concat()])]);
        let mdia = boxed(b"mdia", &[&self.clock(b"mdhd", 100, &[0; 4]), &hdlr, &minf]);
        let id =
            if self.version == 0 { words(&[0, 0, 0, 1]) } else { words(&[1 << 24, 0, 0, 0, 0, 1]) };
        let tkhd = boxed(b"tkhd", &[&id, &[0; 68]]);
        let trak = boxed(b"trak", &[&tkhd, &self.elst(), &self.in_trak, &mdia]);
        boxed(b"moov", &[&self.clock(b"mvhd", 1000, &[0; 80]), &trak, &self.in_moov])
    }

    fn bytes(&self) -> Vec<u8> {
        let ftyp = boxed(b"ftyp", &[b"isom", &[0; 4]]);
        let length = self.samples.iter().map(|sample| sample.2 as usize).sum::<usize>();
        let mdat = boxed(b"mdat", &[&self.before, &vec![0xee; length]]);
        let head = ftyp.len() as u64 + 8;
        match self.moov_first {
            true => [ftyp, self.moov(head + self.moov(0).len() as u64), mdat].concat(),
            false => [ftyp, mdat, self.moov(head)].concat(),
        }
    }
}

trait MapBytes {
    fn map_bytes(&self, each: impl Fn(u64) -> Vec<u8>) -> Vec<u8>;
}

impl MapBytes for Vec<u64> {
    fn map_bytes(&self, each: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
        self.iter().flat_map(|&offset| each(offset)).collect()
    }
}

fn index(bytes: &Vec<u8>) -> Listed {
    open(bytes).unwrap()
}

/// Each frame in presentation order: its time in hundredths, how far into the media its bytes begin.
fn frames(bytes: &Vec<u8>, media: u64) -> Vec<(i64, u64)> {
    let index = index(bytes);
    let found = (0..).map_while(|number| index.frame(bytes, number).unwrap());
    found.map(|found| (found.frame.time.ticks, found.frame.span.start - media)).collect()
}

fn times(bytes: &Vec<u8>) -> Vec<i64> {
    frames(bytes, 0).into_iter().map(|(time, _)| time).collect()
}

/// At that hundredth: the frame's number, the sync sample's time, and whether it's later.
fn at(bytes: &Vec<u8>, ticks: i64) -> (u64, i64, bool) {
    let found = index(bytes).find(bytes, Time::new(ticks, 100)).unwrap().unwrap();
    (found.number, found.sync.time.ticks, found.later)
}

fn refusal(bytes: &Vec<u8>) -> String {
    open(bytes).unwrap_err().to_string()
}

/// The first byte of the mdat's body in what [`Film::bytes`] makes with the moov last.
const MEDIA: u64 = 24;

#[test]
fn the_moov_may_lie_first_or_last() {
    let last = film().bytes();
    let first = Film { moov_first: true, ..film() }.bytes();
    let media = first.len() as u64 - (last.len() as u64 - film().moov(0).len() as u64 - MEDIA);
    let wanted = vec![
        (0, 0),
        (10, 5),
        (20, 11),
        (30, 18),
        (40, 26),
        (50, 35),
        (60, 45),
        (70, 56),
        (80, 68),
        (90, 81),
    ];
    assert_eq!(frames(&last, MEDIA), wanted);
    assert_eq!(frames(&first, media), wanted);
    assert_eq!(index(&last).layout().tables.clone().unwrap().end, last.len() as u64);
}

#[test]
fn every_shape_of_the_same_tables_tells_the_same() {
    let wanted = frames(&film().bytes(), MEDIA);
    for bits in [4, 8, 16] {
        assert_eq!(frames(&Film { bits, ..film() }.bytes(), MEDIA), wanted, "stz2 of {bits} bits");
    }
    for chunk in [1, 3, 10] {
        assert_eq!(frames(&Film { chunk, ..film() }.bytes(), MEDIA), wanted, "{chunk} a chunk");
    }
    assert_eq!(frames(&Film { long_offsets: true, ..film() }.bytes(), MEDIA), wanted);
    assert_eq!(
        frames(&Film { version: 1, edits: vec![(1000, 0)], ..film() }.bytes(), MEDIA),
        wanted
    );
    assert!(refusal(&Film { bits: 7, ..film() }.bytes()).contains("7 bits"));
}

#[test]
fn what_is_shown_and_where_to_start() {
    let bytes = film().bytes();
    assert_eq!(at(&bytes, 0), (0, 0, false));
    assert_eq!(at(&bytes, 49), (4, 0, false));
    assert_eq!(at(&bytes, 50), (5, 50, false));
    assert_eq!(at(&bytes, 99), (9, 50, false));
    let index = index(&bytes);
    assert_eq!(index.duration(), Some(Time::new(1, 1)));
    assert_eq!(index.find(&bytes, Time::new(1, 1)).unwrap(), None);
    assert_eq!(index.find(&bytes, Time::new(-1, 1000)).unwrap(), None);
    assert_eq!(index.main_track().frame_rate, Rate::new(10, 1));
    assert_eq!(index.span(&bytes, Time::new(7, 10), Some(Time::new(8, 10))).unwrap(), Some(59..92));
    assert_eq!(index.span(&bytes, Time::new(3, 1), None).unwrap(), None);
}

#[test]
fn shifts_put_frames_in_order_and_negative_ones_are_read_in_version_0() {
    let bytes = reordered().bytes();
    assert_eq!(times(&bytes), (1..=12).map(|k| k * 10).collect::<Vec<_>>());
    assert_eq!(at(&bytes, 20), (1, 10, false));
    let negative = [0, 20, -10, -10].iter().cycle().take(12).map(|&shift| (10, shift, 5)).collect();
    let negative = Film { samples: negative, ..reordered() }.bytes();
    assert_eq!(times(&negative), (0..12).map(|k| k * 10).collect::<Vec<_>>());
    assert_eq!(frames(&negative, MEDIA)[1], (10, 10));
}

#[test]
fn shifts_of_noise_are_left_aside() {
    let mut noisy = film();
    noisy.samples[3].1 = 1 << 30;
    assert_eq!(times(&noisy.bytes()), times(&film().bytes()));
}

#[test]
fn the_sync_table_is_absent_empty_or_counts_from_zero() {
    let sync = |sync: Option<Vec<u32>>, ticks| at(&Film { sync, ..film() }.bytes(), ticks);
    assert_eq!(sync(None, 70), (7, 70, false));
    assert_eq!(sync(Some(vec![]), 70), (7, 0, false));
    assert_eq!(sync(Some(vec![0, 5]), 70), (7, 50, false));
    assert_eq!(sync(Some(vec![4]), 10), (1, 30, true));
    assert_eq!(sync(Some(vec![1, 99]), 70), (7, 0, false));
    // A list that isn't in order is read on from where it goes on.
    assert_eq!(sync(Some(vec![1, 6, 2, 3, 4, 5, 8]), 90), (9, 70, false));
    let empty = Film { sync: Some(vec![]), ..film() }.bytes();
    assert_eq!(index(&empty).layout().sync_samples, Some(1));
}

#[test]
fn an_empty_edit_delays_and_a_media_time_cuts() {
    let film = |edits: &[(u32, i32)]| Film { edits: edits.to_vec(), ..film() }.bytes();
    let delayed = film(&[(500, -1), (1000, 0)]);
    assert_eq!(times(&delayed), (5..15).map(|k| k * 10).collect::<Vec<_>>());
    assert_eq!(at(&delayed, 0), (0, 50, true));
    assert_eq!(index(&delayed).duration(), Some(Time::new(3, 2)));
    let cut = film(&[(400, 70)]);
    assert_eq!(times(&cut), [0, 10, 20]);
    assert_eq!(at(&cut, 5), (0, -20, false));
    let short = film(&[(250, 20)]);
    assert_eq!(times(&short), [0, 10, 20]);
    assert_eq!(index(&short).duration(), Some(Time::new(1, 4)));
    let blank = film(&[(500, -1)]);
    assert!(matches!(open(&blank), Err(Error::NoTrack)));
}

#[test]
fn an_edit_list_takes_the_shift_of_reordered_frames_back() {
    let bytes = Film { edits: vec![(1200, 10)], ..reordered() }.bytes();
    assert_eq!(times(&bytes), (0..12).map(|k| k * 10).collect::<Vec<_>>());
    // Media time 5 lies before the first picture: it's shown when the edit begins all the same.
    let early = Film { edits: vec![(1200, 5)], ..reordered() }.bytes();
    assert_eq!(times(&early)[..3], [0, 10, 20]);
}

#[test]
fn several_edits_follow_each_other_and_may_repeat() {
    let bytes = Film { edits: vec![(300, 50), (200, 20), (200, 50)], ..film() }.bytes();
    let offsets: Vec<u64> = frames(&bytes, MEDIA).into_iter().map(|(_, offset)| offset).collect();
    assert_eq!(times(&bytes), [0, 10, 20, 30, 40, 50, 60]);
    assert_eq!(offsets, [35, 45, 56, 11, 18, 35, 45]);
    assert_eq!(at(&bytes, 35), (3, 10, false));
    let found = index(&bytes).find(&bytes, Time::new(35, 100)).unwrap().unwrap();
    assert_eq!(found.sync.span.start, MEDIA);
}

#[test]
fn an_edit_list_that_is_not_read_matters_in_its_own_track_alone() {
    let long = |film: Film| trak(&Film { edits: vec![(50, 20); 1025], ..film }, MEDIA);
    let sound = Film { handler: *b"soun", sync: None, ..film() };
    let both = Film { in_moov: long(sound.clone()), ..film() }.bytes();
    assert_eq!(times(&both), times(&film().bytes()));
    assert_eq!(index(&both).tracks()[1].duration, None);
    assert_eq!(index(&both).duration(), Some(Time::new(1, 1)));
    let main = Film { in_moov: long(film()), ..sound }.bytes();
    assert!(refusal(&main).contains("more than 1024 are not read"));
}

#[test]
fn sizes_of_64_bits_and_to_the_end_are_followed() {
    let film = film();
    let plain = film.bytes();
    let moov = film.moov(MEDIA).len();
    let (front, back) = plain.split_at(plain.len() - moov);
    let mut endless = back.to_vec();
    endless[..4].copy_from_slice(&[0; 4]);
    assert_eq!(frames(&[front, &endless].concat(), MEDIA), frames(&plain, MEDIA));
    let head = [&words(&[1])[..], b"moov", &(moov as u64 + 8).to_be_bytes()].concat();
    assert_eq!(frames(&[front, &head, &back[8..]].concat(), MEDIA), frames(&plain, MEDIA));
}

#[test]
fn a_moov_that_is_cut_short_is_told_where_the_file_ends() {
    let whole = Film { moov_first: true, ..film() }.bytes();
    let moov = whole.windows(4).position(|four| four == b"moov").unwrap();
    let cut = whole[..moov + 100].to_vec();
    match open(&cut) {
        Err(Error::Broken { offset, .. }) => assert_eq!(offset, cut.len() as u64),
        other => panic!("not told: {:?}", other.map(|_| ())),
    }
}

#[test]
fn frames_that_the_file_has_not_got_are_not_there() {
    let film = Film { moov_first: true, ..film() };
    let whole = film.bytes();
    let cut = whole[..whole.len() - 20].to_vec();
    let index = index(&cut);
    assert_eq!(index.layout().frames, Some(9));
    let last = index.frame(&cut, 8).unwrap().unwrap().frame;
    assert_eq!(last.span.end, cut.len() as u64);
    assert_eq!(index.span(&cut, Time::ZERO, None).unwrap().unwrap().end, cut.len() as u64);
}

#[test]
fn tables_that_lie_are_read_as_far_as_they_reach() {
    let bytes = film().bytes();
    let place = |kind: &[u8; 4]| bytes.windows(4).position(|four| four == kind).unwrap();
    let mut many = bytes.clone();
    for kind in [b"stsz", b"stts", b"stco", b"stss"] {
        let at = place(kind) + if kind == b"stsz" { 12 } else { 8 };
        many[at..at + 4].copy_from_slice(&[0xff; 4]);
    }
    assert_eq!(times(&many)[..10], times(&bytes));
    assert!(refusal(&endless(bytes)).contains("more samples than the file has bytes"));
}

/// `film` with a fixed size of samples, and as many as a count can say.
fn endless(mut film: Vec<u8>) -> Vec<u8> {
    let place = |kind: &[u8; 4]| film.windows(4).position(|four| four == kind).unwrap();
    let (size, chunk) = (place(b"stsz") + 8, place(b"stsc") + 16);
    film[size..size + 8].copy_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
    film[chunk..chunk + 4].copy_from_slice(&[0xff; 4]);
    film
}

#[test]
fn many_samples_in_many_edits_are_not_laid_out() {
    let mut bytes = endless(Film { edits: vec![(1, i32::MAX); 1024], ..film() }.bytes());
    bytes.resize(bytes.len() + 200_000, 0);
    assert!(refusal(&bytes).contains("more samples and edits than are read"));
}

#[test]
fn a_file_without_its_moov_is_told_where_it_ends() {
    let bytes = film().bytes();
    let cut = bytes[..MEDIA as usize + 30].to_vec();
    assert!(matches!(open(&cut), Err(Error::Broken { offset: 54, .. })));
    let compressed = boxed(b"moov", &[&boxed(b"cmov", &[&[0; 40]])]);
    assert!(refusal(&compressed).contains("compressed"));
    assert!(matches!(open(&Film { handler: *b"text", ..film() }.bytes()), Err(Error::NoTrack)));
    let picture = [boxed(b"ftyp", &[b"avif"]), boxed(b"meta", &[&[0; 4]])].concat();
    assert!(matches!(open(&picture), Err(Error::NoTrack)));
    let traks = boxed(b"trak", &[]).repeat(1025);
    assert!(refusal(&boxed(b"moov", &[&traks])).contains("more than 1024 tracks"));
}

/// Remembers what was read.
struct Watched(Vec<u8>, Mutex<Vec<Range<u64>>>);

impl Source for Watched {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.1.lock().unwrap().push(offset..offset + buffer.len() as u64);
        self.0.read_at(buffer, offset)
    }
}

fn touched(bytes: Vec<u8>, span: Range<u64>) -> Vec<Range<u64>> {
    let source = Watched(bytes, Mutex::default());
    open(&source).unwrap();
    let reads = source.1.into_inner().unwrap();
    reads.into_iter().filter(|read| read.start < span.end && span.start < read.end).collect()
}

#[test]
fn the_media_itself_is_never_read() {
    let bytes = film().bytes();
    let end = bytes.len() as u64 - film().moov(0).len() as u64;
    assert!(touched(bytes, MEDIA..end).is_empty());
    let first = Film { moov_first: true, ..film() }.bytes();
    let media = first.len() as u64 - (end - MEDIA);
    assert!(touched(first, media..u64::MAX).is_empty());
}

/// A track of timecodes: its flags, its clock and its one sample's place.
fn timecode(flags: u32, scale: u32, step: u32, offset: u32) -> Vec<u8> {
    let entry = boxed(b"tmcd", &[&[0; 8], &words(&[0, flags, scale, step]), &[30, 0]]);
    let stbl = [
        boxed(b"stsd", &[&words(&[0, 1]), &entry]),
        boxed(b"stts", &[&words(&[0, 1, 1, 100])]),
        boxed(b"stsc", &[&words(&[0, 1, 1, 1, 1])]),
        boxed(b"stsz", &[&words(&[0, 4, 1])]),
        boxed(b"stco", &[&words(&[0, 1, offset])]),
    ];
    let mdhd = boxed(b"mdhd", &[&words(&[0, 0, 0, 100, 0, 0])]);
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), b"tmcd", &[0; 13]]);
    let minf = boxed(b"minf", &[&boxed(b"stbl", &[&stbl.concat()])]);
    let tkhd = boxed(b"tkhd", &[&words(&[0, 0, 0, 7]), &[0; 68]]);
    boxed(b"trak", &[&tkhd, &boxed(b"mdia", &[&mdhd, &hdlr, &minf])])
}

#[test]
fn a_timecode_track_says_the_first_label() {
    let with = |flags, scale, step, link: u32| {
        let in_trak = boxed(b"tref", &[&boxed(b"tmcd", &[&words(&[link])])]);
        let film = Film { before: words(&[1740]), ..film() };
        let in_moov = timecode(flags, scale, step, MEDIA as u32);
        let bytes = Film { in_trak, in_moov, ..film }.bytes();
        index(&bytes).start_timecode().cloned()
    };
    let rate = Rate::new(30000, 1001).unwrap();
    assert_eq!(
        with(1, 30000, 1001, 7),
        Some(StartTimecode { frames: 1740, rate, drop_frame: true })
    );
    assert!(!with(0, 30000, 1001, 7).unwrap().drop_frame);
    // There is no drop-frame at 25.
    assert!(!with(1, 25, 1, 7).unwrap().drop_frame);
    assert_eq!(with(1, 30000, 1001, 8), None);
    assert_eq!(with(1, 0, 1001, 7), None);
}

#[test]
fn of_the_media_only_the_first_timecode_is_read() {
    let film = Film { before: words(&[1740]), in_moov: timecode(0, 25, 1, MEDIA as u32), ..film() };
    let bytes = film.bytes();
    let end = bytes.len() as u64 - film.moov(0).len() as u64;
    let [read] = &touched(bytes, MEDIA..end)[..] else { panic!("more than one read") };
    assert_eq!(*read, MEDIA..MEDIA + 4);
}

/// The trak alone, with its samples from `media` on.
fn trak(film: &Film, media: u64) -> Vec<u8> {
    let moov = film.moov(media);
    let at = moov.windows(4).position(|four| four == b"trak").unwrap() - 4;
    moov[at..].to_vec()
}

#[test]
fn times_are_looked_up_in_the_first_video_that_shows_anything() {
    let video = Film { samples: vec![(10, 0, 5); 4], ..film() };
    let sound = Film { samples: vec![(7, 0, 5); 3], handler: *b"soun", sync: None, ..film() };
    let second =
        |front: Film, behind: &Film| Film { in_moov: trak(behind, MEDIA), ..front }.bytes();
    assert_eq!(times(&second(sound.clone(), &video)), [0, 10, 20, 30]);
    assert_eq!(times(&second(video.clone(), &sound)), [0, 10, 20, 30]);
    // Nothing of the first one's is in the file.
    let lost = Film { in_moov: trak(&sound, MEDIA), ..video.clone() };
    let lost =
        [boxed(b"ftyp", &[b"isom", &[0; 4]]), boxed(b"mdat", &[&[0xee; 15]]), lost.moov(1 << 20)]
            .concat();
    assert_eq!(times(&lost), [0, 7, 14]);
    // Chapters' pictures come last, though they lie first.
    let chapters = boxed(b"tref", &[&boxed(b"chap", &[&words(&[1])])]);
    let mut listed = trak(&Film { in_trak: chapters, ..sound }, MEDIA);
    let id = listed.windows(4).position(|four| four == b"tkhd").unwrap() + 16;
    listed[id..id + 4].copy_from_slice(&words(&[2]));
    assert_eq!(times(&Film { in_moov: listed, ..video }.bytes()), [0, 7, 14]);
}
