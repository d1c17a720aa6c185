//! What the index answers, on files made by hand: walked, in stretches, broken.

use super::made::*;
use super::*;
use proptest::prelude::*;

fn millis(ticks: i64) -> Time {
    Time::new(ticks, 1000)
}

fn walked(bytes: &Vec<u8>) -> Matroska {
    Matroska::open(bytes, u64::MAX).unwrap()
}

fn in_stretches(bytes: &Vec<u8>) -> Matroska {
    let index = Matroska::open(bytes, 0).unwrap();
    assert!(matches!(index.map, Map::Sparse { .. }), "the file was walked");
    index
}

/// Number, time and place of the frame, time and place of the sync sample, and whether that is later.
fn at(index: &Matroska, bytes: &Vec<u8>, time: i64) -> Option<(u64, i64, u64, i64, u64, bool)> {
    let found = index.find(bytes, millis(time)).unwrap()?;
    let Found { number, frame, sync, later } = found;
    Some((number, frame.time.ticks, frame.span.start, sync.time.ticks, sync.span.start, later))
}

fn one_cluster(blocks: &[Vec<u8>]) -> Vec<u8> {
    file(&[info(1_000_000, None), tracks(), cluster(0, blocks)])
}

fn times(index: &Matroska, bytes: &Vec<u8>) -> Vec<i64> {
    (0..)
        .map_while(|n| index.frame(bytes, n).unwrap())
        .map(|found| found.frame.time.ticks)
        .collect()
}

#[test]
fn a_frame_is_its_blocks_content_and_b_frames_are_in_presentation_order() {
    let blocks = [(0, true), (120, false), (40, false), (80, false)];
    let blocks: Vec<_> = blocks.iter().map(|&(time, key)| simple(1, time, key)).collect();
    let bytes = one_cluster(&blocks);
    let index = walked(&bytes);
    assert_eq!(times(&index, &bytes), [0, 40, 80, 120]);
    let found = index.find(&bytes, millis(79)).unwrap().unwrap();
    let content = &bytes[found.frame.span.start as usize..found.frame.span.end as usize];
    assert_eq!((found.number, content), (1, &block_content(1, 40, 0, b"frame")[..]));
    assert_eq!(found.sync.time, Time::ZERO);
}

#[test]
fn a_group_is_a_key_where_nothing_is_referred_to() {
    let bytes =
        one_cluster(&[group(1, 0, false, None), group(1, 40, true, None), simple(1, 80, true)]);
    let index = walked(&bytes);
    let keys = index.sync_samples(&bytes, Time::ZERO, 9).unwrap();
    assert_eq!(keys.iter().map(|key| key.time.ticks).collect::<Vec<_>>(), [0, 80]);
    assert_eq!(times(&index, &bytes), [0, 40, 80]);
}

#[test]
fn other_tracks_voids_and_checksums_are_stepped_over() {
    let void = element(0xEC, &[0; 200]);
    let blocks = [element(0xBF, &[1, 2, 3, 4]), simple(2, 0, true), void, simple(1, 40, true)];
    let bytes = one_cluster(&blocks);
    assert_eq!(times(&walked(&bytes), &bytes), [40]);
}

#[test]
fn a_cluster_of_unknown_size_ends_at_the_next_element_of_the_segment() {
    let open = |time| unknown(ids::CLUSTER, &[number(ids::TIMESTAMP, time), simple(1, 0, true)]);
    let tags = master(ids::TAGS, &[tag(None, "TITLE", "a film")]);
    let parts = [info(1_000_000, None), tracks(), open(0), tags, open(40), open(80)];
    let bytes = [header("webm"), unknown(ids::SEGMENT, &parts)].concat();
    let index = walked(&bytes);
    assert_eq!(times(&index, &bytes), [0, 40, 80]);
    assert_eq!(index.layout().brand.as_deref(), Some("webm"));
}

#[test]
fn a_block_that_leaves_its_cluster_costs_the_rest_of_that_cluster() {
    let mut long = simple(1, 40, false);
    long[8] = 0x7F;
    let broken = cluster(0, &[simple(1, 0, true), long, simple(1, 80, false)]);
    let next = cluster(120, &[simple(1, 0, true), element(0xEC, &[0; 200])]);
    let bytes = file(&[info(1_000_000, None), tracks(), broken, next]);
    assert_eq!(times(&walked(&bytes), &bytes), [0, 120]);
}

#[test]
fn a_group_whose_child_leaves_it_is_no_frame() {
    let mut broken = group(1, 40, false, Some(40));
    let size = broken.len() - 9;
    broken[size] = 0x7F;
    let blocks = [simple(1, 0, true), broken, element(0xEC, &[0; 200]), simple(1, 80, true)];
    let bytes = one_cluster(&blocks);
    assert_eq!(times(&walked(&bytes), &bytes), [0]);
}

#[test]
fn a_block_before_the_segments_zero_is_not_shown_and_decoded_from() {
    let shown = [simple(1, -100, false), simple(1, 0, true), simple(1, 40, false)];
    let sync = |early: &[Vec<u8>]| {
        let early = cluster(50, early);
        let bytes = file(&[info(1_000_000, None), tracks(), early, cluster(100, &shown)]);
        let index = walked(&bytes);
        assert_eq!(times(&index, &bytes), [0, 100, 140]);
        let mut growing = Growing::default();
        let (so_far, _) = growing.advance(&bytes).unwrap().unwrap();
        assert_eq!(at(&so_far, &bytes, 50), at(&index, &bytes, 50));
        assert_eq!(at(&index, &bytes, 140).map(|found| found.3), Some(100));
        let span = index.span(&bytes, millis(50), Some(millis(60))).unwrap().unwrap();
        let begin = u32::from_be_bytes(*bytes[span.start as usize..].first_chunk().unwrap());
        assert_eq!(begin, ids::CLUSTER);
        at(&index, &bytes, 50).map(|(number, time, _, sync, place, later)| {
            assert_eq!((number, time), (0, 0));
            assert!(span.start < place, "{span:?}");
            (sync, later)
        })
    };
    let key = |time| simple(1, time, true);
    assert_eq!(sync(&[key(-1000), key(-51), simple(1, -52, false)]), Some((-1, false)));
    assert_eq!(sync(&[key(-51), key(-1000)]), Some((-1, false)));
    // Without a key among them the next one is all there is.
    assert_eq!(sync(&[simple(1, -51, false), simple(2, -60, true)]), Some((100, true)));
}

#[test]
fn a_file_that_is_cut_off_has_the_frames_that_are_whole() {
    let bytes = Film { groups: 3, has_cues: false, ..Film::default() }.bytes();
    let whole = walked(&bytes);
    let last = whole.find(&bytes, millis(1000)).unwrap().unwrap().frame.span;
    let cut = bytes[..last.end as usize].to_vec();
    assert_eq!(walked(&cut).find(&cut, millis(1000)).unwrap().unwrap().frame.span, last);
    let cut = bytes[..last.end as usize - 1].to_vec();
    assert_ne!(walked(&cut).find(&cut, millis(1000)).unwrap().unwrap().frame.span, last);
    assert!(walked(&cut).duration() < whole.duration());
    // What the Segment says of its length is no longer so.
    let blocks = cluster(0, &[simple(1, 0, true), simple(1, 40, false)]);
    let bytes = file(&[info(1_000_000, Some(90_000.0)), tracks(), blocks]);
    assert_eq!(walked(&bytes).duration(), Some(millis(90_000)));
    let cut = bytes[..bytes.len() - 1].to_vec();
    assert_eq!(walked(&cut).duration(), Some(millis(40)));
}

#[test]
fn laces_of_all_three_kinds_are_as_many_frames() {
    let rate = number(ids::DEFAULT_DURATION, 20_000_000);
    let tracks = master(ids::TRACKS, &[entry(1, 2, "A_MPEG/L3", &[rate])]);
    for (flags, sizes, expected) in [
        (0x82, &[2, 3, 4][..], vec![0, 20, 40]),
        (0x84, &[2], vec![0, 20, 40]),
        (0x86, &[2, 0x83, 0xC0], vec![0, 20, 40]),
        // Sizes that don't fit into the block: nothing of it is believed.
        (0x82, &[2, 200, 100], vec![]),
        (0x86, &[2, 0xBF, 0xC0], vec![]),
        (0x84, &[3], vec![]),
    ] {
        let payload = [sizes, &[7; 15]].concat();
        let block = element(ids::SIMPLE_BLOCK, &block_content(1, 0, flags, &payload));
        let blocks = [block, simple(1, 1000, true)];
        let bytes = file(&[info(1_000_000, None), tracks.clone(), cluster(0, &blocks)]);
        let expected = [expected, vec![1000]].concat();
        assert_eq!(times(&walked(&bytes), &bytes), expected, "{flags:x} {sizes:?}");
    }
}

#[test]
fn laces_of_no_known_length_reach_to_the_next_block() {
    let tracks = master(ids::TRACKS, &[entry(1, 2, "A_VORBIS", &[]), entry(2, 2, "A_OPUS", &[])]);
    let lace = |time, more: u8| {
        let payload = [&[more][..], &vec![7; 2 * usize::from(more) + 2]].concat();
        element(ids::SIMPLE_BLOCK, &block_content(1, time, 0x84, &payload))
    };
    let in_group = |time| {
        let payload = block_content(1, time, 0x04, &[1, 7, 7]);
        master(ids::BLOCK_GROUP, &[element(ids::BLOCK, &payload)])
    };
    // Four frames, two, three and at the end two, which are as long as those before them.
    let first = cluster(0, &[lace(0, 3), simple(2, 50, true), in_group(93)]);
    let second = cluster(140, &[lace(0, 2), lace(80, 1)]);
    let bytes = file(&[info(1_000_000, None), tracks.clone(), first.clone(), second]);
    let index = walked(&bytes);
    assert_eq!(times(&index, &bytes), [0, 23, 46, 69, 93, 116, 140, 166, 192, 220, 246]);
    assert_eq!(index.duration(), Some(millis(272)));
    // Where the next block is no later, nothing tells how long they are.
    let second = cluster(93, &[lace(0, 1), lace(-10, 2)]);
    let bytes = file(&[info(1_000_000, None), tracks, first, second]);
    assert_eq!(times(&walked(&bytes), &bytes), [0, 23, 46, 69, 83, 93, 93]);
}

#[test]
fn frames_before_zero_are_not_counted() {
    let delay = number(ids::CODEC_DELAY, 26_500_000);
    let tracks = master(ids::TRACKS, &[entry(1, 2, "A_OPUS", &[delay])]);
    let blocks: Vec<_> = (0..5).map(|n| simple(1, n * 20, true)).collect();
    let bytes = file(&[info(1_000_000, None), tracks, cluster(0, &blocks)]);
    let index = walked(&bytes);
    // -27 -7 13 33 53: the one at -7 is heard at zero.
    assert_eq!(at(&index, &bytes, 0).map(|found| (found.0, found.1)), Some((0, -7)));
    assert_eq!(times(&index, &bytes), [-7, 13, 33, 53]);
}

#[test]
fn before_the_first_frame_there_is_the_first_frame_and_past_the_end_none() {
    let bytes = one_cluster(&[simple(1, 80, false), simple(1, 120, true), simple(1, 160, false)]);
    let index = walked(&bytes);
    assert_eq!(at(&index, &bytes, 5).map(|f| (f.0, f.1, f.3, f.5)), Some((0, 80, 120, true)));
    assert_eq!(at(&index, &bytes, 119).map(|f| (f.1, f.3, f.5)), Some((80, 120, true)));
    assert_eq!(at(&index, &bytes, 120).map(|f| (f.1, f.3, f.5)), Some((120, 120, false)));
    assert_eq!(at(&index, &bytes, 199).map(|f| f.1), Some(160));
    assert_eq!(at(&index, &bytes, 200), None);
    assert_eq!(at(&index, &bytes, -1), None);
    let bytes = one_cluster(&[simple(1, 80, true)]);
    assert_eq!(at(&walked(&bytes), &bytes, 79).map(|f| (f.1, f.3, f.5)), Some((80, 80, true)));
    assert_eq!(at(&walked(&bytes), &bytes, 80).map(|f| (f.1, f.3, f.5)), Some((80, 80, false)));
}

#[test]
fn the_duration_is_the_segments_unless_frames_are_shown_longer() {
    for (said, length, expected) in [
        (Some(5000.4), None, 5000),
        (Some(10.0), None, 80),
        (None, None, 80),
        (None, Some(500), 540),
        (Some(f64::NAN), None, 80),
        (Some(-5.0), None, 80),
        (Some(1e300), None, 80),
    ] {
        let blocks = [simple(1, 0, true), group(1, 40, true, length)];
        let bytes = file(&[info(1_000_000, said), tracks(), cluster(0, &blocks)]);
        assert_eq!(walked(&bytes).duration(), Some(millis(expected)), "{said:?} {length:?}");
    }
    let silent = master(ids::TRACKS, &[entry(1, 2, "A_OPUS", &[])]);
    let bytes = file(&[silent, cluster(0, &[simple(1, 0, true), simple(1, 20, true)])]);
    assert_eq!(walked(&bytes).duration(), Some(millis(40)), "as long as the one before");
}

#[test]
fn sound_that_outlasts_the_pictures_ends_a_film_that_does_not_say_how_long_it_is() {
    let delay = number(ids::CODEC_DELAY, 6_500_000);
    let tracks = |more: &[Vec<u8>]| {
        let rate = number(ids::DEFAULT_DURATION, 40_000_000);
        let subtitles = entry(3, 17, "S_TEXT/UTF8", &[]);
        master(
            ids::TRACKS,
            &[entry(1, 1, "V_VP8", &[rate]), entry(2, 2, "A_OPUS", more), subtitles],
        )
    };
    let laced = |time| element(ids::SIMPLE_BLOCK, &block_content(2, time, 0x84, &[1, 7, 7]));
    let frame = number(ids::DEFAULT_DURATION, 20_000_000);
    for (said, more, last, expected) in [
        // As long as the block before it, as DefaultDuration, as the block says; a lace may hold any number.
        (None, vec![], simple(2, 900, true), 1800),
        (None, vec![frame.clone()], simple(2, 900, true), 920),
        (None, vec![frame.clone()], laced(900), 1800),
        (None, vec![frame, delay], group(2, 900, false, Some(70)), 963),
        (None, vec![], simple(3, 900, true), 80),
        (Some(500.0), vec![], simple(2, 900, true), 500),
    ] {
        let blocks = [simple(1, 0, true), simple(2, 0, true), simple(1, 40, false), last];
        let parts = [info(1_000_000, said), tracks(&more), cluster(0, &blocks)];
        let bytes = file(&parts);
        let index = walked(&bytes);
        assert_eq!(index.duration(), Some(millis(expected)), "{said:?} {expected}");
        assert_eq!(at(&index, &bytes, 79).map(|found| found.1), Some(40));
        assert_eq!(at(&index, &bytes, expected - 1).map(|found| found.1), Some(40));
        assert_eq!(at(&index, &bytes, expected), None);
    }
}

#[test]
fn a_clock_that_is_no_fraction_of_a_second_gives_nanoseconds() {
    let bytes = file(&[info(22_675, None), tracks(), cluster(7, &[simple(1, 1, true)])]);
    let found = walked(&bytes).find(&bytes, Time::new(181_400, 1_000_000_000)).unwrap().unwrap();
    assert_eq!(found.frame.time, Time::new(8 * 22_675, 1_000_000_000));
    let bytes = file(&[info(0, None), tracks(), cluster(7, &[simple(1, 1, true)])]);
    let found = walked(&bytes).find(&bytes, millis(8)).unwrap().unwrap();
    assert_eq!((found.frame.time.ticks, found.frame.time.scale), (8, 1000));
}

#[test]
fn the_first_video_track_is_looked_up_before_any_audio() {
    let entries =
        [entry(3, 17, "S_TEXT/UTF8", &[]), entry(2, 2, "A_OPUS", &[]), entry(1, 1, "V_VP9", &[])];
    let parts = [info(1_000_000, None), master(ids::TRACKS, &entries)];
    let bytes =
        file(&[&parts[..], &[cluster(0, &[simple(2, 0, true), simple(1, 20, true)])]].concat());
    let index = walked(&bytes);
    assert_eq!((index.main_track().id, index.main_track().codec.as_str()), (1, "vp9"));
    assert_eq!(times(&index, &bytes), [20]);
    let sound = file(&[&parts[..], &[cluster(0, &[simple(2, 0, true)])]].concat());
    assert_eq!(walked(&sound).main_track().id, 2, "the video track has no frame");
    let only = file(&[master(ids::TRACKS, &entries[..1])]);
    assert!(matches!(Matroska::open(&only, 0), Err(Error::NoTrack)));
}

#[test]
fn what_is_no_film_says_where_it_is_broken() {
    let broken = |bytes: Vec<u8>| match Matroska::open(&bytes, 0) {
        Err(Error::Broken { offset, .. }) => Some(offset),
        _ => None,
    };
    let head = header("matroska").len() as u64;
    assert_eq!(broken(header("matroska")), Some(head));
    assert_eq!(broken(file(&[info(1_000_000, None)])), Some(head + 12));
    assert_eq!(broken(file(&[info(u64::MAX, None), tracks()])), Some(head + 12 + 12));
    assert!(matches!(Matroska::open(&b"RIFF".to_vec(), 0), Err(Error::Unknown)));
}

#[test]
fn seek_heads_are_followed_and_not_believed() {
    let seek = |id: u32, position: u64| {
        master(ids::SEEK, &[number(ids::SEEK_ID, id.into()), number(ids::SEEK_POSITION, position)])
    };
    let blocks = cluster(0, &[simple(1, 0, true), simple(1, 40, false)]);
    let tags = master(ids::TAGS, &[tag(None, "TIMECODE", "01:00:00:00")]);
    let build = |first: u64, tracks_at: u64, tags_at: u64| {
        let head = master(ids::SEEK_HEAD, &[seek(ids::SEEK_HEAD, first)]);
        // The second SeekHead stands behind the cluster, names the first again, and lies about Info.
        let second =
            [seek(ids::SEEK_HEAD, 0), seek(ids::TRACKS, tracks_at), seek(ids::INFO, first)];
        let second = master(ids::SEEK_HEAD, &[&second[..], &[seek(ids::TAGS, tags_at)]].concat());
        [head, blocks.clone(), second, tracks(), tags.clone()]
    };
    let sizes = build(0, 0, 0).map(|part| part.len() as u64);
    let second = sizes[0] + sizes[1];
    let bytes = file(&build(second, second + sizes[2], second + sizes[2] + sizes[3]));
    let index = walked(&bytes);
    assert_eq!(times(&index, &bytes), [0, 40]);
    assert_eq!(index.start_timecode().map(|start| start.frames), Some(90_000));
    // What is named Tags and is Tracks was never meant.
    let other = master(ids::TRACKS, &[entry(9, 1, "V_VP8", &[])]);
    let named = |at: u64| {
        let seeks = [seek(ids::TAGS, at), seek(ids::TRACKS, at + other.len() as u64)];
        [master(ids::SEEK_HEAD, &seeks), blocks.clone(), other.clone(), tracks()]
    };
    let bytes = file(&named((named(0)[0].len() + blocks.len()) as u64));
    assert_eq!(walked(&bytes).main_track().id, 1);
    // Named by nothing: the tracks are found by a walk over the clusters.
    let bytes = file(&build(7, 7, 7)[1..]);
    assert_eq!(times(&walked(&bytes), &bytes), [0, 40]);
}

#[test]
fn a_timecode_tag_is_the_tracks_before_the_files() {
    let start = |tags: &[Vec<u8>], rate: u64| {
        let rate = number(ids::DEFAULT_DURATION, rate);
        let tracks = master(ids::TRACKS, &[entry(1, 1, "V_VP8", &[rate])]);
        let tags = master(ids::TAGS, tags);
        let bytes = file(&[info(1_000_000, None), tracks, tags, cluster(0, &[simple(1, 0, true)])]);
        walked(&bytes).start_timecode().map(|start| (start.frames, start.drop_frame))
    };
    let file = tag(None, "TIMECODE", "00:00:01:00");
    let own = tag(Some(101), "timecode", "00:00:02:00");
    let other = tag(Some(102), "TIMECODE", "00:00:03:00");
    assert_eq!(start(&[file.clone(), own.clone(), other.clone()], 40_000_000), Some((50, false)));
    assert_eq!(start(&[other.clone(), file], 40_000_000), Some((25, false)));
    assert_eq!(start(&[other], 40_000_000), None);
    let drop = tag(None, "TIMECODE", "00:01:00;02");
    assert_eq!(start(std::slice::from_ref(&drop), 33_366_667), Some((1800, true)));
    assert_eq!(start(&[drop], 40_000_000), None);
}

#[test]
fn a_track_without_a_rate_has_the_one_its_frames_show() {
    let rate = |times: &[i16], announced: Option<u64>| {
        let more: Vec<_> =
            announced.map(|nanos| number(ids::DEFAULT_DURATION, nanos)).into_iter().collect();
        let tracks = master(ids::TRACKS, &[entry(1, 1, "V_VP8", &more)]);
        let blocks: Vec<_> = times.iter().map(|&time| simple(1, time, true)).collect();
        let bytes = file(&[info(1_000_000, None), tracks, cluster(0, &blocks)]);
        let track = walked(&bytes).main_track().clone();
        track.frame_rate.map(|rate| (rate.to_string(), track.variable_rate))
    };
    let answer = |rate: &str, variable| Some((rate.to_owned(), variable));
    let ntsc: Vec<i16> = (0..200).map(|n| (n * 1001 / 30) as i16).collect();
    assert_eq!(rate(&ntsc, None), answer("30000/1001", false));
    assert_eq!(rate(&[0, 40, 80, 120], None), answer("25/1", false));
    // Announced as fields, shown as frames.
    assert_eq!(rate(&[0, 40, 80, 120], Some(20_000_000)), answer("25/1", false));
    assert_eq!(rate(&[0, 40, 80, 160], Some(40_000_000)), answer("25/1", true));
    let gap: Vec<i16> = (0..200).map(|n| (n * 100 / 3 + n / 50 * 500) as i16).collect();
    assert_eq!(rate(&gap, None), answer("30/1", true));
    assert_eq!(rate(&[0], None), None);
}

#[test]
fn a_span_begins_at_the_cluster_and_ends_with_the_last_frame_shown() {
    let film = Film { groups: 40, ..Film::default() };
    let bytes = film.bytes();
    for index in [walked(&bytes), in_stretches(&bytes)] {
        // Frame 26 is a B-frame of the group that begins with frame 24, at 960 ms.
        let span = index.span(&bytes, millis(1040), Some(millis(1130))).unwrap().unwrap();
        let sync = index.find(&bytes, millis(1040)).unwrap().unwrap().sync;
        assert_eq!(sync.time, millis(960));
        assert!(bytes[span.start as usize..].starts_with(&ids::CLUSTER.to_be_bytes()));
        assert!(span.start < sync.span.start && sync.span.start - span.start < 48);
        // Frames 26, 27 and 28, which is decoded before them.
        let last = index.frame(&bytes, 27).unwrap().unwrap().frame.span;
        assert_eq!(span.end, last.end);
        let rest = index.span(&bytes, millis(1040), None).unwrap();
        assert_eq!(rest, Some(span.start..bytes.len() as u64));
        assert_eq!(index.span(&bytes, millis(1040), Some(millis(1040))).unwrap(), None);
        assert_eq!(index.span(&bytes, millis(99_999), None).unwrap(), None);
    }
}

/// Every answer of a film in stretches is that of the film walked.
fn agree(film: &Film, step: usize) {
    let bytes = film.bytes();
    let (walked, stretches) = (walked(&bytes), in_stretches(&bytes));
    assert_eq!(stretches.duration(), walked.duration());
    for time in (-1..walked.duration().unwrap().ticks + 41).step_by(step) {
        assert_eq!(at(&stretches, &bytes, time), at(&walked, &bytes, time), "{film:?} at {time}");
    }
    let count = walked.layout().frames.unwrap();
    for number in (0..count + 2).step_by(step) {
        let (a, b) = (stretches.frame(&bytes, number), walked.frame(&bytes, number));
        assert_eq!(a.unwrap(), b.unwrap(), "{film:?} frame {number}");
    }
    for (from, most) in [(0, usize::MAX), (1, 3), (5000, 2), (12_345, 5)] {
        let a = stretches.sync_samples(&bytes, millis(from), most).unwrap();
        assert_eq!(a, walked.sync_samples(&bytes, millis(from), most).unwrap(), "{film:?} {from}");
        let after = Time::new(from * 1000 + 480_001, 1_000_000);
        let a = stretches.sync_samples(&bytes, after, most).unwrap();
        assert_eq!(a, walked.sync_samples(&bytes, after, most).unwrap(), "{film:?} {from}");
        let to = Some(millis(from + 777));
        let a = stretches.span(&bytes, millis(from), to).unwrap();
        assert_eq!(a, walked.span(&bytes, millis(from), to).unwrap(), "{film:?} {from}");
    }
}

#[test]
fn stretches_answer_as_the_walk_does() {
    for film in [
        Film::default(),
        Film { has_cues: false, ..Film::default() },
        Film { cluster: Some(17), has_cues: false, ..Film::default() },
        Film { cluster: Some(17), ..Film::default() },
        Film { pictures: 60, cluster: Some(13), has_cues: false, ..Film::default() },
        // A cue is not where its cluster is, or not when its key frame is: walked at the first contradiction.
        Film { dropped: Some(101), ..Film::default() },
        Film { dropped: Some(102), has_cues: false, ..Film::default() },
        // A picture in the place of another, or in none: the look that comes upon it ends the belief.
        Film { moved: Some((101, 40)), ..Film::default() },
        Film { moved: Some((101, 13)), ..Film::default() },
        Film { moved: Some((101, 9000)), ..Film::default() },
    ] {
        agree(&film, 1);
    }
}

#[test]
fn a_file_that_must_be_walked_is_walked() {
    for film in [
        Film { is_sized: false, has_cues: false, ..Film::default() },
        Film { cue_lie: (40, 0), ..Film::default() },
        Film { cue_lie: (0, 1), ..Film::default() },
        Film { cue_lie: (3, 0), ..Film::default() },
        Film { groups: 3, ..Film::default() },
    ] {
        let bytes = film.bytes();
        let index = Matroska::open(&bytes, 0).unwrap();
        assert!(matches!(index.map, Map::Whole(_)), "{film:?}");
        let frames = film.groups * film.pictures + 1;
        assert_eq!(index.layout().frames, Some(frames));
    }
}

#[test]
fn one_look_into_a_long_film_reads_little_of_it() {
    let film = Film { groups: 900, ..Film::default() };
    let bytes = film.bytes();
    let source = Counted { bytes, read: Default::default() };
    let index = Matroska::open(&source, 0).unwrap();
    index.find(&source, millis(234_567)).unwrap().unwrap();
    let read = source.read.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read < source.length() / 4, "{read} of {}", source.length());
    let again = index.find(&source, millis(234_570)).unwrap();
    assert!(again.is_some());
    let after = source.read.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(after, read, "what was looked at is remembered");
}

/// A value of this type counts the bytes that are read of a file.
struct Counted {
    bytes: Vec<u8>,
    read: std::sync::atomic::AtomicU64,
}

impl Source for Counted {
    fn length(&self) -> u64 {
        self.bytes.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let count = self.bytes.read_at(buffer, offset)?;
        self.read.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(count)
    }
}

/// Asks an index all it can be asked; the answers are what they are.
fn question(bytes: &Vec<u8>, small: u64) {
    let Ok(index) = Matroska::open(bytes, small) else { return };
    let length = bytes.length();
    for time in [0, 1, 40, 500, 1961, 7000, i64::MAX] {
        if let Ok(Some(found)) = index.find(bytes, millis(time)) {
            assert!(found.frame.span.end <= length && found.sync.span.end <= length);
        }
        let _ = index.span(bytes, millis(time), Some(millis(time.saturating_add(300))));
        let _ = index.frame(bytes, time.unsigned_abs());
        let _ = index.sync_samples(bytes, millis(time), 5);
    }
    assert!(index.weight() < 8 << 20);
}

#[test]
fn broken_films_are_answered_or_refused() {
    let seeds = [
        Film::default(),
        Film { cluster: Some(7), has_cues: false, ..Film::default() },
        Film { is_sized: false, groups: 20, ..Film::default() },
    ]
    .map(|film| film.bytes());
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let starts = |bytes: &[u8]| {
        // Where ids or sizes are likely: 0xA3, 0x1F, 0xE7, 0xF1, or a size of eight bytes.
        let is_one = |byte: &u8| matches!(byte, 0xA3 | 0xA0 | 0x1F | 0xE7 | 0xF1 | 0xB3 | 0x01);
        bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| is_one(byte))
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    for bytes in &seeds {
        let starts = starts(bytes);
        for _ in 0..700 {
            let mut broken = bytes.clone();
            for _ in 0..1 + random(4) {
                let near = if random(2) == 0 {
                    starts[random(starts.len())] + random(9)
                } else {
                    random(700)
                };
                let at = near.min(broken.len() - 1);
                match random(5) {
                    0 => broken[at] = random(256) as u8,
                    1 => broken[at] = [0, 0xFF, 0x80, 0x01, 0x7F][random(5)],
                    2 => broken.truncate(at.max(40)),
                    3 => {
                        drop(broken.drain(at..(at + 1 + random(30)).min(broken.len() - 1).max(at)))
                    }
                    _ => drop(broken.splice(at..at, [0xFF, 0x01, 0xA3][..random(4)].to_vec())),
                }
            }
            question(&broken, 0);
            question(&broken, u64::MAX);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_film_is_the_same_in_stretches(
        groups in 30_u64..60,
        pictures in (1_u64..6).prop_map(|fours| fours * 4),
        cluster in prop::option::of(8_usize..75),
        has_cues: bool,
    ) {
        let film = Film { groups, pictures, cluster, has_cues, ..Film::default() };
        let bytes = film.bytes();
        if matches!(Matroska::open(&bytes, 0).unwrap().map, Map::Sparse { .. }) {
            agree(&film, 37);
        }
    }

    #[test]
    fn any_bytes_are_answered_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let head = file(&[info(1_000_000, None), tracks()]);
        question(&[&head[..head.len()], &bytes].concat(), 0);
        question(&[header("webm"), bytes].concat(), 0);
    }
}
