//! Tables that say odd things, and sound.

use super::*;

#[test]
fn a_list_of_sync_samples_in_no_order_names_them_all() {
    for list in [&[1, 6, 4, 8][..], &[6, 1, 8, 4], &[1, 4, 4, 6, 8, 8, 1], &[7, 3, 0, 5]] {
        let bytes = Film { sync: Some(list.to_vec()), ..film() }.bytes();
        let syncs = index(&bytes).sync_samples(&bytes, Time::ZERO, 99).unwrap();
        let found: Vec<i64> = syncs.iter().map(|sync| sync.time.ticks).collect();
        assert_eq!(found, [0, 30, 50, 70], "{list:?}");
    }
}

#[test]
fn moments_of_sound_are_taken_together() {
    let samples = vec![(1, 0, 2); 3000];
    let film = Film { samples, chunk: 2500, handler: *b"soun", sync: None, ..film() };
    let mut bytes = film.bytes();
    // One run of 3000 in the time table, one size for all.
    let place =
        |bytes: &[u8], kind: &[u8; 4]| bytes.windows(4).position(|four| four == kind).unwrap();
    let at = place(&bytes, b"stts") + 8;
    bytes[at..at + 8].copy_from_slice(&words(&[1, 3000]));
    let at = place(&bytes, b"stsz") + 8;
    bytes[at..at + 4].copy_from_slice(&words(&[2]));
    assert_eq!(times(&bytes), [0, 1024, 2048, 2500]);
}

#[test]
fn a_moment_of_sound_is_as_long_as_its_codec_says() {
    // One channel; the entry says 16 bits, as it does of whatever isn't plain.
    for (kind, version, bytes) in [
        (b"alaw", 0, 1),
        (b"ulaw", 1, 1),
        (b"twos", 0, 2),
        (b"in24", 1, 3),
        (b"fl32", 0, 4),
        (b"in32", 1, 4),
        (b"fl64", 1, 8),
    ] {
        let mut film = Film {
            handler: *b"soun",
            sync: None,
            samples: vec![(1, 0, 1); 1500],
            chunk: 1500,
            ..film()
        }
        .bytes();
        let mut put = |kind: &[u8; 4], skip: usize, with: &[u8]| {
            let at = film.windows(4).position(|four| four == kind).unwrap() + skip;
            film[at..at + with.len()].copy_from_slice(with);
        };
        put(b"stts", 8, &words(&[1, 1500]));
        // "Uncompressed" is the size 1.
        put(b"stsz", 8, &words(&[1]));
        put(b"avc1", 12, &[0, version, 0, 0, 0, 0, 0, 0, 0, 1, 0, 16]);
        put(b"avc1", 32, &words(&[1, 2, 2, 2]));
        put(b"avc1", 0, kind);
        film.resize(film.len() + 12_000, 0);
        let places = frames(&film, MEDIA);
        assert_eq!(places, [(0, 0), (1024, 1024 * bytes)], "{kind:?}");
    }
}

#[test]
fn any_frame_of_sound_is_one_to_start_at() {
    let sound = Film { handler: *b"soun", ..film() };
    assert_eq!(at(&sound.bytes(), 45), (4, 40, false));
    let mlp = Film { entries: vec![*b"mlpa"], ..sound };
    assert_eq!(at(&mlp.bytes(), 45), (4, 0, false));
}

#[test]
fn a_step_back_in_time_makes_the_next_steps_shorter() {
    let mut back = film();
    back.samples[1].0 = (-4i32) as u32;
    let shown = times(&back.bytes());
    assert_eq!(shown[..6], [0, 10, 11, 16, 26, 36]);
    assert_eq!(index(&back.bytes()).duration(), Some(Time::new(86, 100)));
}

#[test]
fn an_edit_between_two_frames_moves_all_to_the_beginning() {
    let bytes = Film { edits: vec![(30, 2), (200, 40)], ..film() }.bytes();
    assert_eq!(times(&bytes), [0, 10]);
}

#[test]
fn the_last_frame_lasts_until_its_edit_ends() {
    // Cut within a frame, what follows it begins at zero: that much remains at the end.
    let cut = Film { edits: vec![(850, 15)], moov_first: true, ..film() }.bytes();
    assert_eq!(times(&cut), [0, 10, 20, 30, 40, 50, 60, 70]);
    assert_eq!(at(&cut, 84), (7, 30, false));
    assert_eq!(index(&cut).duration(), Some(Time::new(85, 100)));
    let long = Film { edits: vec![(3000, 0)], ..film() }.bytes();
    assert_eq!(at(&long, 299), (9, 50, false));
    // Only how long it lasts: its rate is that of its sample, and an edit that tells no end has none.
    let one = Film { samples: vec![(10, 0, 5)], edits: vec![(250, 0)], ..film() }.bytes();
    let told = index(&one);
    assert_eq!(
        (told.duration(), told.main_track().frame_rate),
        (Some(Time::new(1, 4)), Rate::new(10, 1))
    );
    let open = Film { edits: vec![(0, 20)], ..film() }.bytes();
    assert_eq!(index(&open).duration(), Some(Time::new(8, 10)));
    // Of a file that is cut off nobody knows what would be shown.
    let gone = cut[..cut.len() - 20].to_vec();
    assert_eq!(index(&gone).duration(), Some(Time::new(70, 100)));
}

#[test]
fn a_track_whose_edits_last_no_time_is_not_looked_up_beside_another() {
    let none = Film { edits: vec![(0, 20)], ..film() };
    assert_eq!(times(&none.bytes())[..2], [0, 10]);
    let sound = Film { samples: vec![(7, 0, 5); 3], handler: *b"soun", sync: None, ..film() };
    let bytes = Film { in_moov: trak(&sound, MEDIA), ..none }.bytes();
    assert_eq!(times(&bytes), [0, 7, 14]);
}

#[test]
fn samples_of_another_codec_s_entry_take_their_time_and_are_not_shown() {
    let described = vec![2, 1, 2, 1, 1];
    let film = Film { described, entries: vec![*b"avc1", *b"encv"], ..film() };
    assert_eq!(times(&film.bytes()), [20, 30, 60, 70, 80, 90]);
    // Two of one codec are one film, and so are the names of one codec.
    for entries in [[*b"avc1", *b"avc1"], [*b"apcn", *b"apch"]] {
        let film = Film { entries: entries.to_vec(), ..film.clone() };
        assert_eq!(times(&film.bytes()).len(), 10);
    }
}

#[test]
fn references_to_chapters_are_counted_over_all_boxes() {
    let chap = |from: u32| boxed(b"chap", &[&words(&(from..from + 1000).collect::<Vec<_>>())]);
    let tref = boxed(b"tref", &[&chap(10), &chap(2000), &chap(4000)]);
    let bytes = boxed(b"moov", &[&boxed(b"trak", &[&tref]), &boxed(b"trak", &[&tref])]);
    let place = Place::read(&bytes, 0, bytes.length()).unwrap().unwrap();
    let chapters = Moov::read(&bytes, &place).unwrap().chapters;
    assert_eq!(chapters.len(), 1024);
}
