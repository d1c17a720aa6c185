//! Files of sound made by hand.

use super::*;
use crate::media::Index;

fn found(bytes: &Vec<u8>, ticks: i64, scale: u32) -> Option<(u64, i64, Range<u64>)> {
    let index = open(bytes).unwrap();
    let found = index.find(bytes, Time::new(ticks, scale)).unwrap()?;
    assert_eq!(found.frame, found.sync);
    Some((found.number, found.frame.time.ticks, found.frame.span))
}

fn chunk(id: &[u8; 4], size: u32, content: &[u8]) -> Vec<u8> {
    [&id[..], &size.to_le_bytes(), content].concat()
}

fn format(tag: u16, channels: u16, rate: u32, block: u16, more: &[u8]) -> Vec<u8> {
    let words = [&tag.to_le_bytes()[..], &channels.to_le_bytes(), &rate.to_le_bytes(), &[0; 4]];
    let content = [&words.concat()[..], &block.to_le_bytes(), &[16, 0], more].concat();
    chunk(b"fmt ", content.len() as u32, &content)
}

#[test]
fn a_wav_is_found_by_arithmetic() {
    let stereo = format(1, 2, 48_000, 4, &[]);
    let odd = chunk(b"LIST", 3, b"abc\0");
    let data = chunk(b"data", 10_000, &[0; 10_050]);
    let bytes = [&b"RIFF\0\0\0\0WAVE"[..], &stereo, &odd, &data].concat();
    let start = 12 + 24 + 12 + 8;
    assert_eq!(found(&bytes, 0, 1), Some((0, 0, start..start + 4096)));
    assert_eq!(found(&bytes, 1024, 48_000), Some((1, 1024, start + 4096..start + 8192)));
    assert_eq!(found(&bytes, 2499, 48_000), Some((2, 2048, start + 8192..start + 10_000)));
    assert_eq!(found(&bytes, 2500, 48_000), None);
}

#[test]
fn blocks_of_adpcm_hold_as_many_samples_as_they_say() {
    // Microsoft's and IMA's.
    for tag in [2, 0x11] {
        let packed = format(tag, 1, 8000, 1024, &[2, 0, 0xF4, 0x07]);
        let bytes = [&b"RIFF\0\0\0\0WAVE"[..], &packed, &chunk(b"data", 8192, &[0; 8192])].concat();
        assert_eq!(found(&bytes, 4 * 2036, 8000), Some((1, 4 * 2036, 4144..8240)), "{tag}");
        assert_eq!(open(&bytes).unwrap().duration(), Some(Time::new(8 * 2036, 8000)), "{tag}");
    }
}

#[test]
fn each_block_of_gsm_is_a_frame() {
    let packed = format(0x31, 1, 8000, 65, &[2, 0, 0x40, 0x01]);
    let bytes = [&b"RIFF\0\0\0\0WAVE"[..], &packed, &chunk(b"data", 650, &[0; 650])].concat();
    assert_eq!(found(&bytes, 3199, 8000), Some((9, 9 * 320, 48 + 585..48 + 650)));
    assert_eq!(open(&bytes).unwrap().duration(), Some(Time::new(3200, 8000)));
}

#[test]
fn an_rf64_and_a_wav_of_unknown_length_know_theirs() {
    let mono = format(1, 1, 8000, 2, &[]);
    let sizes = [&[0; 8][..], &4100_u64.to_le_bytes(), &[0; 12]].concat();
    let data = chunk(b"data", u32::MAX, &[0; 5000]);
    let long =
        [&b"RF64\xFF\xFF\xFF\xFFWAVE"[..], &chunk(b"ds64", 28, &sizes), &mono, &data].concat();
    assert_eq!(open(&long).unwrap().duration(), Some(Time::new(2050, 8000)));
    let piped = [&b"RIFF\xFF\xFF\xFF\xFFWAVE"[..], &mono, &data].concat();
    assert_eq!(open(&piped).unwrap().duration(), Some(Time::new(2500, 8000)));
}

#[test]
fn a_wav_that_says_too_little_is_refused() {
    let data = chunk(b"data", 8, &[0; 8]);
    for (chunks, is_broken) in [
        (data.clone(), true),
        ([format(1, 1, 0, 2, &[]), data.clone()].concat(), true),
        ([format(1, 1, 8000, 0, &[]), data.clone()].concat(), true),
        (format(1, 1, 8000, 2, &[]), true),
        // Dolby Digital in a WAV: nobody knows how long its blocks are.
        ([format(0x2000, 1, 8000, 1, &[]), data].concat(), false),
    ] {
        let bytes = [&b"RIFF\0\0\0\0WAVE"[..], &chunks].concat();
        match open(&bytes) {
            Err(Error::Broken { .. }) => assert!(is_broken, "{chunks:?}"),
            Err(Error::NoTrack) => assert!(!is_broken, "{chunks:?}"),
            _ => panic!("{chunks:?}"),
        }
    }
}

/// Layer III, version 1, 48 kHz, stereo, 128 kb/s: 384 bytes.
fn mp3_frame() -> Vec<u8> {
    let mut frame = vec![0; 384];
    frame[..4].copy_from_slice(&[0xFF, 0xFB, 0x94, 0x00]);
    frame
}

#[test]
fn an_mp3_is_walked_behind_its_tags() {
    let mut info = mp3_frame();
    info[36..40].copy_from_slice(b"Info");
    let id3 = [b"ID3\x04\0\0\0\0\x01\x02".to_vec(), vec![0xFF; 130]].concat();
    let frames = mp3_frame().repeat(4);
    let bytes = [&id3[..], &info, &frames, b"TAG", &[0; 125]].concat();
    let first = 140 + 384;
    assert_eq!(found(&bytes, 0, 1), Some((0, 0, first..first + 384)));
    assert_eq!(found(&bytes, 3 * 1152, 48_000), Some((3, 3456, first + 1152..first + 1536)));
    assert_eq!(found(&bytes, 4 * 1152, 48_000), None);
}

#[test]
fn a_table_stands_behind_the_side_information_of_one_channel_too() {
    let mut mono = mp3_frame();
    mono[3] = 0xC0;
    let mut xing = mono.clone();
    xing[21..25].copy_from_slice(b"Xing");
    let bytes = [xing, mono.repeat(4)].concat();
    assert_eq!(found(&bytes, 0, 1), Some((0, 0, 384..768)));
}

#[test]
fn headers_of_mpeg_audio_say_how_long_a_frame_is() {
    for (bytes, size, samples, rate) in [
        ([0xFF, 0xFB, 0x90, 0x00], 417, 1152, 44_100),
        ([0xFF, 0xFB, 0x92, 0x00], 418, 1152, 44_100),
        ([0xFF, 0xF3, 0x84, 0xC0], 192, 576, 24_000),
        ([0xFF, 0xE3, 0x18, 0xC0], 72, 576, 8000),
        ([0xFF, 0xFD, 0x84, 0x00], 384, 1152, 48_000),
        ([0xFF, 0xFF, 0x42, 0x00], 140, 384, 44_100),
    ] {
        let header = mp3::header(&bytes).unwrap();
        assert_eq!((header.size, header.samples, header.rate), (size, samples, rate), "{bytes:x?}");
    }
    for bytes in
        [[0xFF, 0xFB, 0x00, 0], [0xFF, 0xFB, 0xF0, 0], [0xFF, 0xFB, 0x9C, 0], [0xFF, 0xEB, 0x90, 0]]
    {
        assert_eq!(mp3::header(&bytes), None, "{bytes:x?}");
    }
}

fn adts_frame(size: u16, blocks: u8) -> Vec<u8> {
    let mut frame = vec![0; size.into()];
    let (high, middle, low) = ((size >> 11) as u8, (size >> 3) as u8, (size << 5) as u8);
    frame[..7].copy_from_slice(&[0xFF, 0xF1, 0x4C, 0x80 | high, middle, low, blocks - 1]);
    frame
}

#[test]
fn adts_frames_may_hold_several_blocks() {
    let bytes = [adts_frame(100, 1), adts_frame(2050, 2), adts_frame(9, 1), vec![1, 2, 3]].concat();
    assert_eq!(found(&bytes, 1024, 48_000), Some((1, 1024, 100..2150)));
    assert_eq!(found(&bytes, 3072, 48_000), Some((2, 3072, 2150..2159)));
    assert_eq!(found(&bytes, 4096, 48_000), None);
    let index = open(&bytes).unwrap();
    assert_eq!(
        (index.main_track().codec.as_str(), index.main_track().channels),
        ("mp4a.40.2", Some(2))
    );
}

#[test]
fn the_seventh_configuration_of_aac_is_of_eight_channels() {
    for (configuration, channels) in [(1, 1), (2, 2), (6, 6), (7, 8)] {
        let mut frame = adts_frame(100, 1);
        frame[2] = frame[2] & !1 | configuration >> 2;
        frame[3] = frame[3] & 0x3F | configuration << 6;
        assert_eq!(adts::header(&frame).unwrap().channels, channels);
    }
}

#[test]
fn the_last_frame_may_be_cut_off_but_none_between() {
    let frames = mp3_frame().repeat(5);
    let zeros = [vec![0; 100], frames[..1900].to_vec()].concat();
    assert!(recognises(&zeros));
    assert_eq!(found(&zeros, 4 * 1152, 48_000), Some((4, 4608, 100 + 1536..2000)));
    let adts = adts_frame(100, 1).repeat(5);
    let dented = [&adts[..], &[1; 300], &adts].concat();
    assert!(matches!(open(&dented), Err(Error::Broken { offset: 500, .. })));
}

#[test]
fn what_stands_between_frames_of_mpeg_audio_belongs_to_the_next_one() {
    let frames = mp3_frame().repeat(5);
    let tag = [b"ID3\x04\0\0\0\0\x01\x02".to_vec(), vec![0; 130]].concat();
    for between in [vec![1; 300], tag] {
        let between_end = 1920 + between.len() as u64;
        let joined = [&frames[..], &between, &frames, b"TAG", &[0; 125]].concat();
        assert_eq!(found(&joined, 4 * 1152, 48_000), Some((4, 4608, 1536..1920)));
        assert_eq!(found(&joined, 5 * 1152, 48_000), Some((5, 5760, 1920..between_end + 384)));
        assert_eq!(found(&joined, 10 * 1152, 48_000), None);
    }
    // A tag may be longer than damage can be, where frames follow it.
    let size = [0x00, 0x06, 0x40, 0x00];
    let cover = [&b"ID3\x04\0\0"[..], &size, &vec![0; (6 << 14) + (64 << 7)]].concat();
    let joined = [&frames[..], &cover, &frames].concat();
    assert_eq!(open(&joined).unwrap().duration(), Some(Time::new(10 * 1152, 48_000)));
}

#[test]
fn files_of_other_rates_may_be_joined() {
    // Of MPEG audio three frames come before the new rate is believed, as ffmpeg has it: 44.1 kHz, 417 bytes.
    let mut other = vec![0; 417];
    other[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0x00]);
    let joined = [mp3_frame().repeat(5), other.repeat(5)].concat();
    let (clock, old, new) = (28_224_000_u32, 677_376, 737_280);
    assert_eq!(found(&joined, 4 * old, clock), Some((4, 4 * old, 1536..1920)));
    assert_eq!(found(&joined, 7 * old, clock), Some((7, 7 * old, 2754..3171)));
    let last = 8 * old + new;
    assert_eq!(found(&joined, last - 1, clock), Some((8, 8 * old, 3171..3588)));
    assert_eq!(found(&joined, last, clock), Some((9, last, 3588..4005)));
    let index = open(&joined).unwrap();
    assert_eq!(index.duration(), Some(Time::new(last + new, clock)));
    assert_eq!(index.main_track().sample_rate, Some(48_000));
    // ADTS frames are counted at the first one's rate.
    let mut other = adts_frame(50, 1);
    other[2] = 0x50;
    let joined = [adts_frame(100, 1).repeat(4), other.repeat(4)].concat();
    assert_eq!(found(&joined, 5 * 1024, 48_000), Some((5, 5 * 1024, 450..500)));
    assert_eq!(open(&joined).unwrap().duration(), Some(Time::new(8 * 1024, 48_000)));
}

#[test]
fn sound_may_begin_in_the_middle_of_a_frame() {
    for frame in [mp3_frame(), adts_frame(384, 1)] {
        let bytes = [&[0x55; 300][..], &frame.repeat(40)].concat();
        let known = crate::media::open(&bytes).unwrap();
        let first = known.find(&bytes, Time::ZERO).unwrap().unwrap();
        assert_eq!((first.number, first.frame.span), (0, 300..684));
        // A few frames may be those that another container begins with.
        let bytes = [&[0x55; 300][..], &frame.repeat(8), &[0x55; 300]].concat();
        assert!(matches!(crate::media::open(&bytes), Err(Error::Unknown)));
        let bytes = [&b"RIFF\0\0\0\0AVI "[..], &[0x55; 300], &frame.repeat(40)].concat();
        assert!(matches!(crate::media::open(&bytes), Err(Error::Unknown)));
    }
}

#[test]
fn a_wav_may_hold_mpeg_audio() {
    let format = format(0x55, 2, 48_000, 1, &[]);
    let data = chunk(b"data", 5 * 384, &mp3_frame().repeat(5));
    let list = chunk(b"LIST", 768, &mp3_frame().repeat(2));
    let bytes = [&b"RIFF\0\0\0\0WAVE"[..], &format, &data, &list].concat();
    let start = 12 + 24 + 8;
    assert_eq!(found(&bytes, 1152, 48_000), Some((1, 1152, start + 384..start + 768)));
    assert_eq!(found(&bytes, 5 * 1152, 48_000), None);
    let index = open(&bytes).unwrap();
    let layout = (index.layout().container, index.main_track().codec.as_str());
    assert_eq!(layout, (Container::Wav, "mp3"));
}

#[test]
fn a_few_bytes_that_look_like_a_header_are_no_stream() {
    let bytes = [&[0xFF, 0xFB, 0x94, 0x00][..], &[7; 900]].concat();
    assert!(recognises(&bytes));
    assert!(matches!(open(&bytes), Err(Error::Unknown)));
}
