//! Films in fragments.

use super::*;

/// A moov without samples, whose fragments' defaults are: 10 ticks, 5 bytes, no sync sample.
fn promise(film: Film) -> Film {
    let trex = boxed(b"trex", &[&words(&[0, 1, 1, 10, 5, 0x1_0000])]);
    Film { in_moov: boxed(b"mvex", &[&trex]), ..film }
}

fn empty() -> Vec<u8> {
    promise(Film { samples: Vec::new(), sync: None, ..film() }).moov(0)
}

/// A moof of one run of `count` samples after it, the first one a sync sample; then its mdat.
fn fragment(tfhd: &[u32], tfdt: Option<u32>, count: u32) -> Vec<u8> {
    let tfdt = tfdt.map_or(Vec::new(), |time| boxed(b"tfdt", &[&words(&[0, time])]));
    let moof = |offset: u32| {
        let trun = boxed(b"trun", &[&words(&[5, count, offset, 0])]);
        boxed(b"moof", &[&boxed(b"traf", &[&boxed(b"tfhd", &[&words(tfhd)]), &tfdt, &trun])])
    };
    let offset = moof(0).len() as u32 + 8;
    [moof(offset), boxed(b"mdat", &[&vec![0xee; count as usize * 5]])].concat()
}

const BASE_IS_MOOF: u32 = 0x2_0000;

#[test]
fn fragments_follow_each_other_with_and_without_times() {
    for times_said in [true, false] {
        let said = |time| times_said.then_some(time);
        let head = empty();
        let first = fragment(&[BASE_IS_MOOF, 1], said(0), 3);
        let second = fragment(&[0, 1], said(30), 2);
        let media = (head.len() + first.len() - 15) as u64;
        let bytes = [head, first, second.clone()].concat();
        assert_eq!(times(&bytes), [0, 10, 20, 30, 40]);
        assert_eq!(frames(&bytes, media)[..3], [(0, 0), (10, 5), (20, 10)]);
        assert_eq!(frames(&bytes, 0)[4].1, bytes.len() as u64 - 5);
        assert_eq!(at(&bytes, 25), (2, 0, false));
        assert_eq!(at(&bytes, 35), (3, 30, false));
        assert!(index(&bytes).layout().fragmented);
        assert_eq!(index(&bytes).duration(), Some(Time::new(1, 2)));
    }
}

#[test]
fn a_fragment_overrides_the_defaults() {
    // Duration 20 and size 4 of its own.
    let bytes = [empty(), fragment(&[BASE_IS_MOOF | 0x18, 1, 20, 4], Some(100), 3)].concat();
    let start = bytes.len() as u64 - 15;
    assert_eq!(frames(&bytes, start), [(100, 0), (120, 4), (140, 8)]);
    // The time is kept as it's told: nothing is shown at first.
    assert_eq!(at(&bytes, 0), (0, 100, true));
}

#[test]
fn samples_in_the_moov_come_first() {
    let film = promise(film());
    let front = film.bytes();
    let bytes = [front.clone(), fragment(&[BASE_IS_MOOF, 1], None, 2)].concat();
    assert_eq!(times(&bytes), (0..12).map(|k| k * 10).collect::<Vec<_>>());
    assert_eq!(at(&bytes, 115), (11, 100, false));
    assert_eq!(times(&front).len(), 10);
}

#[test]
fn what_overlaps_is_shown_once() {
    let again = fragment(&[BASE_IS_MOOF, 1], Some(20), 3);
    let bytes = [empty(), fragment(&[BASE_IS_MOOF, 1], Some(0), 4), again].concat();
    assert_eq!(times(&bytes), [0, 10, 20, 30, 40]);
    // Those of the second fragment need its own sync sample, though that is not shown.
    assert_eq!(at(&bytes, 30), (3, 0, false));
    assert_eq!(at(&bytes, 45), (4, 20, false));
    let sync = index(&bytes).find(&bytes, Time::new(45, 100)).unwrap().unwrap().sync;
    assert_eq!(sync.span.start, bytes.len() as u64 - 15);
}

#[test]
fn a_moof_that_the_file_ends_in_is_the_end() {
    let whole = [empty(), fragment(&[BASE_IS_MOOF, 1], Some(0), 3)].concat();
    let last = fragment(&[BASE_IS_MOOF, 1], Some(30), 2);
    for part in 0..=last.len() - 10 {
        let bytes = [&whole[..], &last[..part]].concat();
        assert_eq!(times(&bytes), [0, 10, 20], "{part} bytes of it");
    }
    // One that ends too soon, before more of the file, is broken.
    let mut broken = last;
    broken[..4].copy_from_slice(&words(&[28]));
    assert!(refusal(&[whole, broken].concat()).contains("ends before what it announces"));
}

#[test]
fn an_index_that_the_file_ends_in_is_the_end() {
    let whole = [empty(), fragment(&[BASE_IS_MOOF, 1], Some(0), 3)].concat();
    let index = boxed(b"sidx", &[&words(&[0, 1, 1000, 500, 0, 2, 99, 300, 0, 99, 200, 0])]);
    for part in 0..index.len() {
        assert_eq!(
            times(&[&whole[..], &index[..part]].concat()),
            [0, 10, 20],
            "{part} bytes of it"
        );
    }
}

#[test]
fn an_index_times_fragments_that_say_nothing() {
    let one = fragment(&[BASE_IS_MOOF, 1], None, 2);
    let size = one.len() as u32;
    let index = words(&[0, 1, 1000, 500, 0, 2, size, 300, 0, size, 200, 0]);
    let bytes = [empty(), boxed(b"sidx", &[&index]), one.clone(), one].concat();
    assert_eq!(times(&bytes), [50, 60, 80, 90]);
}

#[test]
fn an_edit_list_is_open_at_its_end() {
    let film = promise(Film { samples: Vec::new(), sync: None, edits: vec![(10, 10)], ..film() });
    let bytes = [film.moov(0), fragment(&[BASE_IS_MOOF, 1], Some(0), 4)].concat();
    assert_eq!(times(&bytes), [0, 10, 20]);
    assert_eq!(at(&bytes, 5), (0, -10, false));
}

#[test]
fn signed_shifts_and_flags_a_sample_are_read() {
    let trun = |offset: u32| {
        let samples =
            [[10u32, 5, 0, 0], [10, 5, 0x101_0000, 20], [10, 5, 0x1_0000, -10i32 as u32]].concat();
        boxed(b"trun", &[&words(&[0xf01, 3, offset]), &words(&samples)])
    };
    let moof = |offset| {
        let tfhd = boxed(b"tfhd", &[&words(&[BASE_IS_MOOF, 1])]);
        boxed(b"moof", &[&boxed(b"traf", &[&tfhd, &trun(offset)])])
    };
    let offset = moof(0).len() as u32 + 8;
    let bytes = [empty(), moof(offset), boxed(b"mdat", &[&[0xee; 15]])].concat();
    let media = bytes.len() as u64 - 15;
    assert_eq!(frames(&bytes, media), [(0, 0), (10, 10), (30, 5)]);
    assert_eq!(index(&bytes).layout().sync_samples, Some(1));
}

#[test]
fn a_base_of_its_own_and_the_end_of_the_track_before() {
    let bytes = {
        let traf = |flags: &[u32], run: &[u32]| {
            boxed(b"traf", &[&boxed(b"tfhd", &[&words(flags)]), &boxed(b"trun", &[&words(run)])])
        };
        // Another track of 2 samples of 7 bytes, then ours right behind it.
        let moof = |offset| {
            let other = traf(&[0x10, 2, 7], &[1, 2, offset]);
            let ours = traf(&[0, 1], &[4, 3, 0]);
            boxed(b"moof", &[&other, &ours])
        };
        let offset = moof(0).len() as u32 + 8;
        [empty(), moof(offset), boxed(b"mdat", &[&[0xee; 29]])].concat()
    };
    assert_eq!(frames(&bytes, bytes.len() as u64 - 15), [(0, 0), (10, 5), (20, 10)]);
}

#[test]
fn a_run_without_its_header_is_broken_where_it_lies() {
    let moof = boxed(b"moof", &[&boxed(b"traf", &[&boxed(b"trun", &[&words(&[0, 1])])])]);
    let bytes = [empty(), moof].concat();
    let wanted = empty().len() as u64 + 16;
    assert!(matches!(open(&bytes), Err(Error::Broken { offset, .. }) if offset == wanted));
}

#[test]
fn a_run_of_endless_samples_that_take_no_time_ends() {
    let one = fragment(&[BASE_IS_MOOF | 8, 1, 0], Some(50), 1);
    let mut many = one.clone();
    let at = many.windows(4).position(|four| four == b"trun").unwrap() + 8;
    many[at..at + 4].copy_from_slice(&[0xff; 4]);
    assert!(
        refusal(&[empty(), one, many].concat()).contains("more samples than the file has bytes")
    );
}

/// A film of pictures and sound in one fragment: three pictures, and sound that begins at `time` in runs of so many
/// samples of 7 bytes and 20 ticks, as its own defaults have it. The pictures lie right behind the sound.
fn with_sound(edits: Vec<(u32, i32)>, time: Option<u32>, runs: &[u32]) -> Vec<u8> {
    let none = Film { samples: Vec::new(), sync: None, ..film() };
    let mut sound = trak(&Film { handler: *b"soun", edits, ..none.clone() }, 0);
    let id = sound.windows(4).position(|four| four == b"tkhd").unwrap() + 16;
    sound[id..id + 4].copy_from_slice(&words(&[2]));
    let trex = |of: [u32; 4]| boxed(b"trex", &[&words(&[0, of[0], 1, of[1], of[2], of[3]])]);
    let mvex = boxed(b"mvex", &[&trex([1, 10, 5, 0x1_0000]), &trex([2, 20, 7, 0])]);
    let head = Film { in_moov: [sound, mvex].concat(), ..none }.moov(0);
    let tfdt = time.map_or(Vec::new(), |time| boxed(b"tfdt", &[&words(&[0, time])]));
    let moof = |offset: u32| {
        let heard: Vec<u8> = runs
            .iter()
            .enumerate()
            .flat_map(|(number, &count)| match number {
                0 => boxed(b"trun", &[&words(&[1, count, offset])]),
                _ => boxed(b"trun", &[&words(&[0x100, count]), &words(&vec![30; count as usize])]),
            })
            .collect();
        let heard = boxed(b"traf", &[&boxed(b"tfhd", &[&words(&[0, 2])]), &tfdt, &heard]);
        let seen = boxed(b"trun", &[&words(&[4, 3, 0])]);
        let seen = boxed(b"traf", &[&boxed(b"tfhd", &[&words(&[0, 1])]), &seen]);
        boxed(b"moof", &[&heard, &seen])
    };
    let sounds = runs.iter().sum::<u32>() as usize * 7;
    let mdat = boxed(b"mdat", &[&vec![0xee; sounds + 15]]);
    [head, moof(moof(0).len() as u32 + 8), mdat].concat()
}

#[test]
fn sound_that_outlasts_the_pictures_ends_the_film() {
    let lasts = |bytes: &Vec<u8>| index(bytes).duration().unwrap();
    // Pictures end at 30 ticks of 100.
    assert_eq!(lasts(&with_sound(vec![], None, &[1])), Time::new(30, 100));
    assert_eq!(lasts(&with_sound(vec![], None, &[4])), Time::new(80, 100));
    assert_eq!(lasts(&with_sound(vec![], Some(50), &[4, 2])), Time::new(190, 100));
    // An edit list of no known length takes the first 15 ticks away.
    let cut = with_sound(vec![(0, 15)], Some(50), &[4]);
    assert_eq!(lasts(&cut), Time::new(115, 100));
    assert_eq!(at(&cut, 114), (2, 0, false));
    assert!(index(&cut).find(&cut, Time::new(115, 100)).unwrap().is_none());
}

#[test]
fn another_track_is_measured_by_its_own_defaults() {
    let bytes = with_sound(vec![], None, &[4]);
    assert_eq!(frames(&bytes, bytes.len() as u64 - 15), [(0, 0), (10, 5), (20, 10)]);
}

#[test]
fn fragments_of_another_codec_s_entry_are_not_shown() {
    let entries = vec![*b"avc1", *b"encv"];
    let head = promise(Film { samples: Vec::new(), sync: None, entries, ..film() }).moov(0);
    let clear = fragment(&[BASE_IS_MOOF | 2, 1, 2], Some(0), 2);
    let bytes = [head, clear, fragment(&[BASE_IS_MOOF, 1], Some(20), 2)].concat();
    assert_eq!(times(&bytes), [20, 30]);
}
