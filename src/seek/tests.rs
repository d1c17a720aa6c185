//! Questions as they are written, and what a film answers that lies in memory.

use super::{Film, Meaning, Question, Refusal, TimeRange, Unsent, command};
use crate::media::{self, Error, Found, Index, Presentation, Sample, Source, Time, Timecode};
use std::{fs, ops::Range, path::Path};

fn film(name: &str) -> (Box<dyn Index>, Vec<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let bytes = fs::read(path).unwrap();
    (media::open(&bytes).unwrap(), bytes)
}

fn asked(query: &str) -> (Meaning, Vec<Timecode>, Option<u64>) {
    match Question::of(query).unwrap() {
        Some(Question::Moments { meaning, asked, size }) => {
            (meaning, asked.into_iter().map(|(_, timecode)| timecode).collect(), size)
        }
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn queries_that_ask() {
    use Meaning::{Elapsed, Own};
    let seconds = |ticks, scale| Timecode::Seconds(Time::new(ticks, scale));
    let label: Timecode = "01:00:00;02".parse().unwrap();
    let (five, frame) = (seconds(5, 1), Timecode::Frame(2250));
    for (query, meaning, timecodes, size) in [
        ("at=5", Elapsed, vec![five], None),
        ("at=1%3A30.5", Elapsed, vec![seconds(905, 10)], None),
        ("at=%232250", Elapsed, vec![frame], None),
        ("at=%205%20", Elapsed, vec![five], None),
        ("token=a&at=5&x", Elapsed, vec![five], None),
        ("tc=01:00:00;02", Own, vec![label], None),
        ("tc=01%3A00%3A00%3B02", Own, vec![label], None),
        ("at=5&at=%232250&size=10", Elapsed, vec![five, frame], Some(10)),
        ("size=99999999999999999999&at=5", Elapsed, vec![five], Some(u64::MAX)),
    ] {
        assert_eq!(asked(query), (meaning, timecodes, size), "{query}");
    }
    for query in ["info", "info=", "a=b&info=1&c"] {
        assert_eq!(Question::of(query).unwrap(), Some(Question::Info), "{query}");
    }
    for query in ["", "a", "At=5", "xat=5", "size=5", "a=at", "&&"] {
        assert_eq!(Question::of(query).unwrap(), None, "{query}");
    }
}

#[test]
fn queries_that_can_not_be_meant() {
    let many = ["at=5"; 101].join("&");
    for (query, says) in [
        ("at=", "empty"),
        ("at", "empty"),
        ("tc=&tc=1", "empty"),
        ("at=soon", "no timecode"),
        ("at=1:2:3:4:5", "no timecode"),
        ("at=-1", "before the film's first frame"),
        ("at=5s", "without units"),
        ("at=1h30m", "without units"),
        ("at=00:01:99", "99 seconds"),
        ("at=%", "hexadecimal"),
        ("at=%3", "hexadecimal"),
        ("at=%zz", "hexadecimal"),
        ("at=%ff", "no text"),
        ("at=5%00", "no text"),
        ("at=5&tc=00:00:05:00", "mean two things"),
        ("info&at=5", "by itself"),
        ("info&size=5", "belongs to"),
        ("at=5&size=0", "1 byte or more"),
        ("at=5&size=", "number of bytes"),
        ("at=5&size=-5", "number of bytes"),
        ("at=5&size=1e6", "number of bytes"),
        ("at=5&size=5&size=5", "twice"),
        ("from=edge", "live or start"),
        ("from", "live or start"),
        (&many, "at most 100"),
    ] {
        match Question::of(query) {
            Err(Refusal::Malformed(why)) => assert!(why.contains(says), "{query}: {why}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn ranges_of_times() {
    let (index, bytes) = film("moov-first.mp4");
    let film = Film { index: &*index, source: &bytes };
    // A sync sample each 50 frames, at 25 frames a second.
    for (range, from, to) in [
        ("npt=0-", 0, 250),
        ("npt=-2", 0, 50),
        ("npt=5-", 100, 250),
        ("npt=5-6", 100, 150),
        ("npt=5.01-5.02", 100, 126),
        ("npt=0:05-0:06.001", 100, 151),
        ("npt=00:00:05-99", 100, 250),
        // Numbers that no clock here can hold are large, as those of `bytes=` are.
        ("npt=5-9999999999999999999999", 100, 250),
        ("npt=5-9999999999999999999999.5", 100, 250),
        ("npt=5-9999999999999999999999:00:00", 100, 250),
        ("npt=0000000000000000000000005-", 100, 250),
        ("NPT = 8 - ", 200, 250),
        ("smpte=00:00:05:00-00:00:06:00", 100, 150),
        ("smpte=00:00:05-00:00:06", 100, 150),
        ("smpte-25=00:00:05:01-00:00:05:02", 100, 127),
        // Frame 15 of a second of 30 is half a second.
        ("smpte-30=00:00:04:15-00:00:05:15", 100, 138),
        ("smpte-30-drop=00:00:06;00-", 150, 250),
        ("smpte-30-drop=00:00:06:00-", 150, 250),
    ] {
        let asked = TimeRange::parse(range).unwrap_or_else(|| panic!("{range} is none"));
        let sent = film.span(&asked).unwrap_or_else(|why| panic!("{range}: {why:?}"));
        let time = |frame| Time::new(frame, 25);
        assert_eq!((sent.from, sent.to), (time(from), time(to)), "{range}");
        let first = index.frame(&bytes, from as u64).unwrap().unwrap().frame.span.start;
        assert_eq!(sent.bytes.start, first, "{range}");
        let spans =
            (from..to).map(|at| index.frame(&bytes, at as u64).unwrap().unwrap().frame.span);
        assert_eq!(sent.bytes.end, spans.map(|span| span.end).max().unwrap(), "{range}");
    }
}

#[test]
fn ranges_of_times_that_show_nothing() {
    let (index, bytes) = film("moov-first.mp4");
    let film = Film { index: &*index, source: &bytes };
    for (range, says) in [
        ("npt=10-", "10 s long"),
        ("npt=99-100", "10 s long"),
        ("npt=9999999999999999999999-", "10 s long"),
        ("npt=5-5", "ends where it begins"),
        ("npt=7-3", "ends where it begins"),
        ("npt=-0", "ends where it begins"),
        ("smpte=00:00:05:25-", "count 0 to 24"),
        ("smpte=00:00:05;00-", "no drop-frame"),
        ("smpte-30-drop=00:01:00;00-", "there is no"),
        ("smpte-25=00:00:10:00-", "10 s long"),
    ] {
        let asked = TimeRange::parse(range).unwrap_or_else(|| panic!("{range} is none"));
        match film.span(&asked) {
            Err(Unsent::Unsatisfiable(why)) => assert!(why.contains(says), "{range}: {why}"),
            other => panic!("{range}: {other:?}"),
        }
    }
}

#[test]
fn a_range_before_the_first_frame_shows_nothing() {
    let (index, bytes) = film("no-cues.mkv");
    let film = Film { index: &*index, source: &bytes };
    match film.span(&TimeRange::parse("npt=-.02").unwrap()) {
        Err(Unsent::Unsatisfiable(why)) => {
            assert!(why.contains("next frame is at 0.021 s"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        film.span(&TimeRange::parse("npt=-.03").unwrap()).unwrap().from,
        Time::new(21, 1000)
    );
}

#[test]
fn what_is_no_range_of_times() {
    for range in [
        "",
        "npt",
        "npt=",
        "npt=-",
        "npt=5",
        "npt=a-b",
        "npt=5-6,7-8",
        "npt=5-6-7",
        "npt=#5-",
        "npt=00:00:05:00-",
        "smpte=5-6",
        "smpte-25=00:00:05;00-",
        "smpte-24=00:00:05:00-",
        "clock=\"2009-07-26T11:19:01Z\"-",
        "npt=5-6;include-setup",
        "npt=5-9999999999999999999999:60",
        "npt=5-9999999999999999999999:0:0:0",
    ] {
        assert_eq!(TimeRange::parse(range), None, "{range}");
    }
}

#[test]
fn a_mapping_tells_times_and_bytes() {
    let (index, bytes) = film("moov-first.mp4");
    let film = Film { index: &*index, source: &bytes };
    let sent = film.span(&TimeRange::parse("npt=5.5-5.7").unwrap()).unwrap();
    let says = sent.mapping(218_084);
    assert_eq!(says, "{ t:npt 4-5.72/0-10 } = { bytes 90246-127859/218084 }");
}

#[test]
fn a_mapping_begins_at_zero_where_the_sync_sample_is_hidden_before_it() {
    let (index, bytes) = film("edit-list.mp4");
    let film = Film { index: &*index, source: &bytes };
    let hidden = index.find(&bytes, Time::ZERO).unwrap().unwrap().sync;
    assert!(hidden.time.is_negative(), "{hidden:?}");
    let sent = film.span(&TimeRange::parse("npt=0-0.2").unwrap()).unwrap();
    assert_eq!((sent.from, sent.bytes.start), (Time::ZERO, hidden.span.start));
    assert!(sent.mapping(9).starts_with("{ t:npt 0-0.2/0-"), "{}", sent.mapping(9));
}

#[test]
fn a_range_before_the_first_sync_sample_has_nothing_to_decode() {
    let (_, mut bytes) = film("moov-first.mp4");
    // The first frame in the table of sync samples is now the 11th one in decode order.
    let table = bytes.windows(4).position(|four| four == b"stss").unwrap();
    bytes[table + 12..table + 16].copy_from_slice(&11_u32.to_be_bytes());
    let index = media::open(&bytes).unwrap();
    let film = Film { index: &*index, source: &bytes };
    let sync = index.find(&bytes, Time::ZERO).unwrap().unwrap().sync.time;
    let span = |range: String| film.span(&TimeRange::parse(&range).unwrap());
    match span(format!("npt=0-{sync}")) {
        Err(Unsent::Unsatisfiable(why)) => assert!(why.contains("first sync sample"), "{why}"),
        other => panic!("{other:?}"),
    }
    let rest = span("npt=0-2".into()).unwrap();
    assert_eq!((rest.from, rest.to), (sync, Time::new(2, 1)));
}

#[test]
fn a_file_that_can_not_be_asked_is_a_sentence() {
    for (path, says) in [
        ("/no/such/film", "cannot open"),
        ("/dev", "is a folder"),
        ("/dev/null", "is no regular file"),
    ] {
        let error = command::ask(Path::new(path), &Question::Info, false).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(path) && error.contains(says), "{error}");
    }
}

/// A value of this type is the index of a film that must be read for its sync samples, and has but one.
struct Barren(Box<dyn Index>);

impl Index for Barren {
    fn presentation(&self) -> &Presentation {
        self.0.presentation()
    }

    fn find(&self, source: &dyn Source, time: Time) -> Result<Option<Found>, Error> {
        self.0.find(source, time)
    }

    fn frame(&self, source: &dyn Source, number: u64) -> Result<Option<Found>, Error> {
        self.0.frame(source, number)
    }

    fn sync_samples(
        &self,
        source: &dyn Source,
        from: Time,
        most: usize,
    ) -> Result<Vec<Sample>, Error> {
        if from == Time::ZERO {
            return self.0.sync_samples(source, from, most);
        }
        let mut block = vec![0; 1 << 16];
        loop {
            source.read_at(&mut block, 0)?;
        }
    }

    fn span(
        &self,
        source: &dyn Source,
        from: Time,
        to: Option<Time>,
    ) -> Result<Option<Range<u64>>, Error> {
        self.0.span(source, from, to)
    }

    fn is_in_memory(&self) -> bool {
        false
    }

    fn weight(&self) -> usize {
        0
    }
}

#[test]
fn what_a_film_is_is_told_although_its_sync_samples_are_far_apart() {
    let (index, bytes) = film("moov-first.mp4");
    let barren = Barren(index);
    let info = Film { index: &barren, source: &bytes }.info().unwrap();
    assert!(info.sync_samples.spacing.is_none());
    assert!(info.notes.iter().any(|note| note.contains("further on")), "{:?}", info.notes);
    let known = Film { index: &*barren.0, source: &bytes }.info().unwrap();
    assert!(known.sync_samples.spacing.is_some() && known.notes.is_empty());
}
