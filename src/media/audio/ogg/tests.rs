//! Streams of Ogg made by hand.

use super::{
    codec::{Codec, sound},
    page::{CONTINUED, FIRST, LAST},
};
use crate::media::{Error, Index, Time, audio::open};
use std::ops::Range;

/// A page of the stream 7: its packets, of which the last one goes on in the next page where that is said.
fn page(flags: u8, granule: i64, packets: &[&[u8]], goes_on: bool) -> Vec<u8> {
    let mut laces = Vec::new();
    for packet in packets {
        laces.extend(std::iter::repeat_n(255, packet.len() / 255));
        laces.push((packet.len() % 255) as u8);
    }
    if goes_on {
        assert_eq!(laces.pop(), Some(0), "such a page ends with a full lace");
    }
    let header = [&b"OggS\0"[..], &[flags], &granule.to_le_bytes(), &[7, 0, 0, 0], &[0; 8]];
    [&header.concat()[..], &[laces.len() as u8], &laces, &packets.concat()].concat()
}

fn opus_head(skip: u16) -> Vec<u8> {
    [&b"OpusHead\x01\x02"[..], &skip.to_le_bytes(), &[0; 7]].concat()
}

/// 20 ms, 960 samples.
const PACKET: [u8; 10] = [0xF8; 10];

fn spans(bytes: &Vec<u8>) -> Vec<(i64, Range<u64>)> {
    let index = open(bytes).unwrap();
    let frames = (0..).map_while(|number| index.frame(bytes, number).unwrap());
    let spans = frames.map(|found| {
        assert_eq!(found.frame, found.sync);
        (found.frame.time.ticks, found.frame.span)
    });
    spans.collect()
}

#[test]
fn packets_are_timed_by_their_pages() {
    let head = [page(FIRST, 0, &[&opus_head(312)], false), page(0, 0, &[b"OpusTags"], false)];
    let long = [0xF8; 510];
    let pages = [
        // It begins 100 samples in, as a recording that was joined does.
        page(0, 100 + 1920, &[&PACKET, &PACKET, &long[..255]], true),
        page(CONTINUED, 100 + 4 * 960, &[&long[255..], &PACKET], false),
        // The last one is heard in part.
        page(LAST, 100 + 5 * 960 + 40, &[&PACKET, &PACKET], false),
    ];
    let bytes = [head.concat(), pages.concat()].concat();
    let at = |number: usize| {
        let before: usize = pages[..number].iter().map(Vec::len).sum();
        (head.concat().len() + before) as u64
    };
    let times = [0, 960, 1920, 2880, 3840, 4800].map(|ticks| ticks + 100 - 312);
    let places =
        [at(0)..at(1), at(0)..at(1), at(0)..at(2), at(1)..at(2), at(2)..at(3), at(2)..at(3)];
    assert_eq!(spans(&bytes), times.into_iter().zip(places).collect::<Vec<_>>());
    let index = open(&bytes).unwrap();
    assert_eq!(index.duration(), Some(Time::new(100 + 4840 - 312, 48_000)));
    assert_eq!(index.main_track().channels, Some(2));
}

#[test]
fn a_page_that_is_lost_takes_its_packets_with_it() {
    let head = [page(FIRST, 0, &[&opus_head(0)], false), page(0, 0, &[b"OpusTags"], false)];
    let mut lost = page(0, 1920, &[&PACKET, &[0xF8; 255]], true);
    lost[0] = b'X';
    let pages = [
        page(0, 960, &[&PACKET], false),
        lost,
        // Its first packet is the end of one that wasn't met.
        page(CONTINUED, 5 * 960, &[&PACKET, &PACKET, &PACKET], false),
    ];
    let bytes = [head.concat(), pages.concat()].concat();
    let times: Vec<i64> = spans(&bytes).into_iter().map(|(ticks, _)| ticks).collect();
    // What comes first begins where the page before ended; the other is counted back.
    assert_eq!(times, [0, 960, 4 * 960]);
}

#[test]
fn what_is_not_sound_of_one_stream_is_refused() {
    let theora = page(FIRST, 0, &[b"\x80theora\x03\x02\x01"], false);
    let opus = [page(FIRST, 0, &[&opus_head(0)], false), page(0, 960, &[&PACKET], false)].concat();
    for (bytes, broken_at) in [
        (theora.clone(), None),
        ([theora, opus.clone()].concat(), None),
        (page(FIRST, 0, &[b"Speex   1.2"], false), None),
        ([opus.clone(), opus.clone()].concat(), Some(opus.len() as u64)),
    ] {
        match (open(&bytes), broken_at) {
            (Err(Error::Unknown), None) => {}
            (Err(Error::Broken { offset, .. }), Some(at)) => assert_eq!(offset, at),
            (other, _) => panic!("{other:?}"),
        }
    }
    // Headers alone.
    let empty = page(FIRST, 0, &[&opus_head(0)], false);
    assert!(matches!(open(&empty), Err(Error::NoTrack)));
}

/// The codec of a stream that begins with that packet.
fn codec(first: &[u8]) -> Codec {
    sound(first).unwrap().unwrap().1
}

#[test]
fn a_packet_of_opus_tells_its_length() {
    let mut codec = codec(&opus_head(0));
    // RFC 6716 §3.1, table 2.
    for (config, samples) in
        [(0, 480), (3, 2880), (11, 2880), (12, 480), (13, 960), (16, 120), (31, 960)]
    {
        let first = config << 3;
        assert_eq!(codec.length(&[first]), Some(samples), "{config}");
        assert_eq!(codec.length(&[first | 1]), Some(2 * samples), "{config}");
        assert_eq!(codec.length(&[first | 2]), Some(2 * samples), "{config}");
        assert_eq!(codec.length(&[first | 3, 0x80 | 5]), Some(5 * samples), "{config}");
    }
    assert_eq!(codec.length(&[]), None);
    assert_eq!(codec.length(&[3]), None);
}

#[test]
fn a_frame_of_flac_tells_its_length() {
    let mut codec = codec(
        &[&b"\x7FFLAC\x01\0\0\x01fLaC\0\0\0\x22"[..], &[0; 10], &[0x0A, 0xC4, 0x42]].concat(),
    );
    for (header, samples) in [
        (&[0xFF, 0xF8, 0x19, 0, 0][..], Some(192)),
        (&[0xFF, 0xF8, 0x59, 0, 0], Some(4608)),
        (&[0xFF, 0xF9, 0xC9, 0, 0], Some(4096)),
        (&[0xFF, 0xF8, 0x69, 0, 0, 99], Some(100)),
        // The number takes three bytes.
        (&[0xFF, 0xF8, 0x79, 0, 0xE1, 0x80, 0x80, 1, 0xF3], Some(500)),
        (&[0xFF, 0xF8, 0x09, 0, 0], None),
        (&[0xFF, 0x18, 0x19, 0, 0], None),
        (&[0xFF, 0xF8, 0x69, 0, 0], None),
    ] {
        assert_eq!(codec.length(header), samples, "{header:x?}");
    }
}

/// Vorbis's third header with modes of those lengths.
fn setup(long: &[bool]) -> Vec<u8> {
    let mut bits = vec![true, false, true];
    let mut number = |value: usize, count: usize| {
        bits.extend((0..count).map(|place| value >> place & 1 == 1));
    };
    number(long.len() - 1, 6);
    for (mapping, long) in long.iter().enumerate() {
        number(usize::from(*long), 1);
        number(0, 32);
        number(mapping, 8);
    }
    number(1, 1);
    let bytes = bits
        .chunks(8)
        .map(|eight| eight.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
    b"\x05vorbis".iter().copied().chain([0xFF; 8]).chain(bytes).collect()
}

#[test]
fn a_packet_of_vorbis_lasts_as_long_as_it_overlaps_the_one_before() {
    // Blocks of 256 and 2,048.
    let first = [&b"\x01vorbis\0\0\0\0\x01\x44\xAC\0\0"[..], &[0; 12], &[0xB8, 1]].concat();
    let mut codec = codec(&first);
    assert!(!codec.is_told());
    codec.read_header(&setup(&[false, true])).unwrap();
    assert!(codec.is_told());
    // Bit 1 names the mode; of a long block bit 2 says whether the one before was long.
    for (packet, samples) in
        [(0b000, 128), (0b000, 128), (0b010, 576), (0b110, 1024), (0b000, 576), (0b000, 128)]
    {
        assert_eq!(codec.length(&[packet]), Some(samples), "{packet:b}");
    }
    // Three modes are named by two bits.
    codec.read_header(&setup(&[false, true, true])).unwrap();
    assert_eq!(codec.length(&[0b1100]), Some((2048 + 2048) / 4));
    assert_eq!(codec.length(&[0b0110]), None, "there is no fourth mode");
    assert!(codec.read_header(&[5, 0, 0, 0]).is_none());
}
