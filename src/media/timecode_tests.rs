//! What a timecode means and when it's refused.

use super::*;

fn rate(numerator: u32, denominator: u32) -> Rate {
    Rate::new(numerator, denominator).unwrap()
}

fn seconds(text: &str) -> Time {
    match text.parse().unwrap() {
        Timecode::Seconds(time) => time,
        other => panic!("{text} is {other:?}"),
    }
}

fn label(text: &str) -> Label {
    match text.parse().unwrap() {
        Timecode::Label(label) => label,
        other => panic!("{text} is {other:?}"),
    }
}

fn refusal<T: fmt::Debug>(result: Result<T, Refused>) -> String {
    result.unwrap_err().to_string()
}

const NTSC: (u32, u32) = (30000, 1001);

#[test]
fn seconds_are_read_exactly() {
    assert_eq!(seconds("90.5"), Time::new(181, 2));
    assert_eq!(seconds("1:30.5"), Time::new(181, 2));
    assert_eq!(seconds("00:01:30.500"), Time::new(181, 2));
    assert_eq!(seconds("100:00:00"), Time::new(360_000, 1));
    assert_eq!(seconds("75:00"), Time::new(4500, 1));
    assert_eq!(seconds("0.033366667"), Time::new(33_366_667, 1_000_000_000));
    assert_eq!(seconds("1.50000000000000"), Time::new(3, 2));
    assert_eq!(seconds(".5"), Time::new(1, 2));
}

#[test]
fn labels_and_numbers_are_read() {
    let drop = Label { hours: 0, minutes: 1, seconds: 30, frames: 12, drop_frame: true };
    assert_eq!(label("00:01:30;12"), drop);
    assert_eq!(label("00:01:30,12"), drop);
    assert_eq!(label("00:01:30:12"), Label { drop_frame: false, ..drop });
    assert_eq!("#2250".parse(), Ok(Timecode::Frame(2250)));
}

#[test]
fn what_is_no_timecode_is_refused_with_a_sentence() {
    for text in [
        "",
        "-1",
        "+1",
        "1e3",
        "1.",
        "#",
        "#-1",
        "#1.5",
        ":",
        "::",
        "a",
        "1:2:3:4:5",
        "1;30",
        "00;01;30;12",
        "00:01:30:12.5",
        "1:-2",
        "0x10",
        " 1",
        "1 ",
        "٣",
        "1.٣",
        "1..2",
        "1:2.3:4",
        "00:01:30.5;12",
        "nan",
        "inf",
    ] {
        assert!(text.parse::<Timecode>().is_err(), "{text:?} was taken");
    }
    for (text, why) in [
        ("00:60:00", "60 minutes"),
        ("00:00:60", "60 seconds"),
        ("1:60.5", "60.5 seconds"),
        ("00:00:61:00", "61 seconds"),
        ("99999999999999999999", "later than any film"),
        ("9999999999999999999", "later than any film"),
        ("9999999999999999:00:00", "later than any film"),
        ("0.0000000001", "nine decimals"),
        ("0.0333333333333333333333333", "nine decimals"),
        ("99999999999:00:00:00", "later than any film"),
        ("tomorrow", "no timecode"),
    ] {
        let error = refusal(text.parse::<Timecode>());
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn drop_frame_leaves_out_labels_and_no_frames() {
    let df = Counting::new(rate(30000, 1001), true).unwrap();
    for (text, frame) in [
        ("00:00:00;00", 0),
        ("00:00:59;29", 1799),
        ("00:01:00;02", 1800),
        ("00:09:59;29", 17_981),
        ("00:10:00;00", 17_982),
        ("00:11:00;02", 19_782),
        ("01:00:00;00", 107_892),
        ("23:59:59;29", 2_589_407),
    ] {
        assert_eq!(df.frame_of(label(text)), Ok(frame), "{text}");
        assert_eq!(df.label_of(frame).to_string(), text);
    }
    assert_eq!(df.day(), 2_589_408);
    assert_eq!(Counting::new(rate(60000, 1001), true).unwrap().day(), 5_178_816);
}

#[test]
fn labels_that_do_not_exist_are_refused() {
    let df = Counting::new(rate(30000, 1001), true).unwrap();
    assert!(refusal(df.frame_of(label("00:01:00;00"))).contains("first 2 labels"));
    assert!(df.frame_of(label("00:01:00;01")).is_err());
    assert!(df.frame_of(label("00:10:00;00")).is_ok());
    let fast = Counting::new(rate(60000, 1001), true).unwrap();
    assert!(fast.frame_of(label("00:59:00;03")).is_err());
    assert!(fast.frame_of(label("00:59:00;04")).is_ok());
    let pal = Counting::new(rate(25, 1), false).unwrap();
    assert!(refusal(pal.frame_of(label("00:00:00:25"))).contains("count 0 to 24"));
    let film = Counting::new(rate(24000, 1001), false).unwrap();
    assert!(film.frame_of(label("00:00:00:24")).is_err());
}

#[test]
fn only_three_rates_have_drop_frame() {
    for (n, d) in [(25, 1), (24000, 1001), (30, 1), (60, 1), (50, 1), (90000, 1001)] {
        assert!(refusal(Counting::new(rate(n, d), true)).contains("no drop-frame"), "{n}/{d}");
    }
    assert!(Counting::new(rate(120_000, 1001), true).is_ok());
}

/// All frames of 24 hours: label to frame to label is the identity, and labels rise.
#[test]
fn every_frame_of_a_day_finds_itself_again() {
    let ways = [
        (24, 1, false),
        (25, 1, false),
        (30, 1, false),
        (50, 1, false),
        (60, 1, false),
        (24000, 1001, false),
        (30000, 1001, false),
        (30000, 1001, true),
        (60000, 1001, false),
        (60000, 1001, true),
    ];
    for (n, d, drop) in ways {
        let counting = Counting::new(rate(n, d), drop).unwrap();
        let mut before = (0, 0, 0, 0);
        for frame in 0..counting.day() {
            let label = counting.label_of(frame);
            assert_eq!(counting.frame_of(label), Ok(frame), "{label}");
            let now = (label.hours, label.minutes, label.seconds, label.frames);
            assert!(frame == 0 || now > before, "{label} at {n}/{d}");
            before = now;
        }
        assert_eq!(before, (23, 59, 59, rate(n, d).nominal() - 1));
        assert_eq!(counting.label_of(counting.day()).hours, 24);
    }
}

fn start(text: &str, (n, d): (u32, u32)) -> StartTimecode {
    let label = label(text);
    let counting = Counting::new(rate(n, d), label.drop_frame).unwrap();
    StartTimecode {
        frames: counting.frame_of(label).unwrap(),
        rate: rate(n, d),
        drop_frame: label.drop_frame,
    }
}

fn reel(of: (u32, u32), start: Option<&StartTimecode>) -> Reel<'_> {
    Reel { rate: Rate::new(of.0, of.1), variable_rate: false, start }
}

#[test]
fn at_counts_from_the_first_shown_frame() {
    let at = |text: &str| reel((25, 1), None).at(text.parse().unwrap());
    assert_eq!(at("01:09:14:28").map_err(|error| error.0.contains("0 to 24")), Err(true));
    assert_eq!(at("01:09:14:24"), Ok(Place::Frame(4154 * 25 + 24)));
    assert_eq!(at("#7"), Ok(Place::Frame(7)));
    assert_eq!(at("7.25"), Ok(Place::Time(Time::new(29, 4))));
    assert!(refusal(at("00:00:01;00")).contains("no drop-frame"));
}

#[test]
fn a_timecode_track_decides_how_labels_are_written() {
    let (drop, plain) = (start("01:00:00;00", NTSC), start("01:00:00:00", NTSC));
    let semicolon: Timecode = "01:00:10;00".parse().unwrap();
    let colon: Timecode = "01:00:10:00".parse().unwrap();
    assert!(refusal(reel(NTSC, Some(&plain)).at(semicolon)).contains("without drop-frame"));
    assert!(refusal(reel(NTSC, Some(&plain)).tc(semicolon)).contains("without drop-frame"));
    assert!(refusal(reel(NTSC, Some(&drop)).at(colon)).contains("write `;`"));
    assert!(refusal(reel(NTSC, Some(&drop)).tc(colon)).contains("write `;`"));
    assert_eq!(reel(NTSC, Some(&drop)).tc(semicolon), Ok(Place::Frame(300)));
    assert_eq!(reel(NTSC, Some(&drop)).at(semicolon), Ok(Place::Frame(107_892 + 300)));
    assert_eq!(reel(NTSC, None).at(colon), Ok(Place::Frame(108_300)));
}

#[test]
fn the_own_label_wraps_after_a_day() {
    let late = start("23:59:59;28", NTSC);
    let reel = reel(NTSC, Some(&late));
    assert_eq!(reel.tc("23:59:59;29".parse().unwrap()), Ok(Place::Frame(1)));
    assert_eq!(reel.tc("00:00:00;00".parse().unwrap()), Ok(Place::Frame(2)));
    assert_eq!(reel.own_label(2, Time::new(2002, 30000)).unwrap().to_string(), "00:00:00;00");
    assert!(refusal(reel.tc("24:00:00;00".parse().unwrap())).contains("end at 23:59:59"));
    assert!(reel.tc("#5".parse().unwrap()).is_err());
    assert!(
        refusal(Reel { start: None, ..reel }.tc("00:00:00:00".parse().unwrap()))
            .contains("without tc")
    );
}

#[test]
fn a_timecode_track_at_its_own_rate_is_a_grid() {
    let half = start("00:00:00:00", NTSC);
    let reel = reel((60000, 1001), Some(&half));
    assert_eq!(reel.tc("00:00:01:00".parse().unwrap()), Ok(Place::Grid(Time::new(30030, 30000))));
    assert_eq!(reel.own_label(61, Time::new(61 * 1001, 60000)).unwrap().to_string(), "00:00:01:00");
}

#[test]
fn a_variable_rate_puts_labels_on_the_nominal_grid() {
    let reel = Reel { rate: Rate::new(30, 1), variable_rate: true, start: None };
    assert_eq!(reel.at("00:00:01:15".parse().unwrap()), Ok(Place::Grid(Time::new(3, 2))));
    assert_eq!(reel.elapsed_label(9, Time::new(3, 2), false).unwrap().to_string(), "00:00:01:15");
    assert_eq!(reel.at("#9".parse().unwrap()), Ok(Place::Frame(9)));
    let silent = Reel { rate: None, ..reel };
    assert!(refusal(silent.at("00:00:01:15".parse().unwrap())).contains("no frame rate"));
}

#[test]
fn labels_past_all_counting_are_refused() {
    let counting = Counting::new(rate(u32::MAX, 1), false).unwrap();
    let latest = label("4294967295:59:59:00");
    assert!(refusal(counting.frame_of(latest)).contains("too late"));
}
