//! Tracks that say of themselves what their blocks don't: clocks of their own, keys, delays, lengths.

use super::made::{block_content, cluster, element, entry, file, info, master, number, simple};
use super::{Matroska, ids};
use crate::media::{Index, Time};

/// A film of one track of that kind and codec, with its times and places to start.
fn told(
    kind: u64,
    codec: &str,
    more: &[Vec<u8>],
    blocks: &[Vec<u8>],
) -> (Vec<i64>, Vec<i64>, Time) {
    let tracks = master(ids::TRACKS, &[entry(1, kind, codec, more)]);
    let bytes = file(&[info(1_000_000, None), tracks, cluster(1000, blocks)]);
    let index = Matroska::open(&bytes, u64::MAX).unwrap();
    let frames = (0..).map_while(|n| index.frame(&bytes, n).unwrap());
    let times = frames.map(|found| found.frame.time.ticks).collect();
    let syncs = index.sync_samples(&bytes, Time::new(-9, 1), 99).unwrap();
    let syncs = syncs.iter().map(|sync| sync.time.ticks).collect();
    (times, syncs, index.duration().unwrap())
}

fn three() -> [Vec<u8>; 3] {
    [(0, true), (40, false), (80, false)].map(|(time, key)| simple(1, time, key))
}

#[test]
fn a_track_s_own_scale_is_that_of_its_blocks_times() {
    let scale = |scale: f32| element(ids::TRACK_TIMESTAMP_SCALE, &scale.to_be_bytes());
    let (times, ..) = told(1, "V_VP8", &[scale(2.0)], &three());
    // On a clock of two milliseconds: the cluster at 500 of them, the blocks 40 apart.
    assert_eq!(times, [500, 540, 580]);
    let (times, _, end) = told(1, "V_VP8", &[scale(0.5)], &three());
    assert_eq!((times, end), (vec![2000, 2040, 2080], Time::new(2120, 2000)));
    for none in [1.0, 0.0, f32::NAN, -3.0] {
        assert_eq!(told(1, "V_VP8", &[scale(none)], &three()).0, [1000, 1040, 1080], "{none}");
    }
}

#[test]
fn some_codecs_start_at_any_frame_whatever_their_blocks_say() {
    for (kind, codec, syncs) in [
        (2, "A_PCM/INT/LIT", &[1000, 1040, 1080][..]),
        (2, "A_TRUEHD", &[1000]),
        (1, "V_MJPEG", &[1000, 1040, 1080]),
        (1, "V_VP8", &[1000]),
    ] {
        assert_eq!(told(kind, codec, &[], &three()).1, syncs, "{codec}");
    }
}

#[test]
fn of_a_lace_of_pictures_the_first_alone_is_a_key() {
    let lace = element(ids::SIMPLE_BLOCK, &block_content(1, 0, 0x84, &[1, 7, 7]));
    let rate = number(ids::DEFAULT_DURATION, 40_000_000);
    let (times, syncs, _) = told(1, "V_VP8", &[rate], &[lace]);
    assert_eq!((times, syncs), (vec![1000, 1040], vec![1000]));
}

#[test]
fn the_last_frame_lasts_as_long_as_the_track_says_of_each() {
    let rate = number(ids::DEFAULT_DURATION, 100_000_000);
    assert_eq!(told(1, "V_VP8", &[rate], &three()).2, Time::new(1180, 1000));
}

#[test]
fn pictures_before_time_zero_are_counted_and_sound_is_not() {
    let delay = number(ids::CODEC_DELAY, 1_060_000_000);
    let first = |kind, codec| {
        let tracks = master(ids::TRACKS, &[entry(1, kind, codec, std::slice::from_ref(&delay))]);
        let bytes = file(&[info(1_000_000, None), tracks, cluster(1000, &three())]);
        let index = Matroska::open(&bytes, u64::MAX).unwrap();
        index.find(&bytes, Time::new(20, 1000)).unwrap().unwrap().number
    };
    assert_eq!((first(1, "V_VP8"), first(2, "A_OPUS")), (2, 1));
}
