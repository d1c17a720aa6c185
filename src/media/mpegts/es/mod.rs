//! The beginning of a picture: can a decoder start here? The elementary stream decides, not the hints
//! of the packets around it. Looks at headers up to the first slice and decodes nothing.

pub mod audio;
mod bits;
mod h264;
mod hevc;
mod mpeg2;

use super::codec::Codec;
use crate::media::{Rate, codec as names};

/// Where a PES packet's picture stands among pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A frame, or its first field.
    Whole,
    /// The second field of an H.264 frame: it has a time and a place of its own, but is no new frame.
    SecondField,
    /// Nothing of its own: it belongs to the sample before.
    Rest,
}

/// A value of this type is what is known of the picture that a PES packet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    pub sync: bool,
    pub part: Part,
}

/// Bytes of a slice that suffice for its header's first fields.
const ENOUGH: usize = 48;

/// Behind the length and the time of a frame; the byte that follows tells TrueHD from MLP.
const MAJOR_SYNC: [u8; 3] = [0xf8, 0x72, 0x6f];

/// Headers longer than this are not looked through.
pub const LONGEST: usize = 256 << 10;

#[derive(Clone, Debug)]
enum Syntax {
    H264(Box<h264::H264>),
    Hevc(hevc::Hevc),
    Vvc,
    Mpeg2(mpeg2::Mpeg2),
    Mpeg4,
    Vc1(mpeg2::Vc1),
    /// The packet's hint is all there is.
    Hint,
    /// TrueHD and MLP: some frames begin with a major sync.
    Lossless,
    /// Every frame is a place to start: other sound.
    Always,
}

/// A value of this type looks at one elementary stream, PES packet by PES packet.
#[derive(Clone, Debug)]
pub struct Sniffer {
    syntax: Syntax,
    /// The start code whose unit is not complete, and how far the next one was looked for.
    code: Option<usize>,
    searched: usize,
    hint: bool,
}

impl Sniffer {
    pub fn new(codec: Codec) -> Self {
        let syntax = match codec {
            Codec::H264 => Syntax::H264(Box::default()),
            Codec::Hevc => Syntax::Hevc(hevc::Hevc::default()),
            Codec::Vvc => Syntax::Vvc,
            Codec::Mpeg2 => Syntax::Mpeg2(mpeg2::Mpeg2::default()),
            Codec::Mpeg4 => Syntax::Mpeg4,
            Codec::Vc1 => Syntax::Vc1(mpeg2::Vc1::default()),
            Codec::Video(_) => Syntax::Hint,
            Codec::Audio("mlpa") => Syntax::Lossless,
            _ => Syntax::Always,
        };
        Sniffer { syntax, code: None, searched: 0, hint: false }
    }

    /// A PES packet begins; `hint` is its packet's random access indicator.
    pub fn begin(&mut self, hint: bool) {
        (self.code, self.searched, self.hint) = (None, 0, hint);
        match &mut self.syntax {
            Syntax::H264(syntax) => syntax.begin(),
            Syntax::Hevc(syntax) => syntax.begin(),
            Syntax::Mpeg2(syntax) => syntax.begin(),
            Syntax::Vc1(syntax) => syntax.begin(),
            Syntax::Vvc | Syntax::Mpeg4 | Syntax::Lossless | Syntax::Hint | Syntax::Always => {}
        }
    }

    /// Looks at the stream's bytes since [`begin`](Self::begin), all of them each time; `whole` if no more
    /// will come. `None`: more are needed.
    pub fn look(&mut self, stream: &[u8], whole: bool) -> Option<Picture> {
        match self.syntax {
            Syntax::Hint => return Some(Picture { sync: self.hint, part: Part::Whole }),
            Syntax::Always => return Some(Picture { sync: true, part: Part::Whole }),
            Syntax::Lossless if stream.len() < 7 && !whole => return None,
            Syntax::Lossless => {
                let sync = stream.get(4..7) == Some(&MAJOR_SYNC);
                return Some(Picture { sync, part: Part::Whole });
            }
            _ => {}
        }
        loop {
            if self.code.is_none() {
                self.code = start_code(stream, self.searched);
                self.searched = self.code.map_or(stream.len().saturating_sub(2), |code| code + 3);
            }
            let ended = whole || stream.len() > LONGEST;
            let Some(code) = self.code else { return ended.then(|| self.undecided()) };
            let next = start_code(stream, self.searched);
            let unit = stream.get(code + 3..next.unwrap_or(stream.len())).unwrap_or(&[]);
            let enough =
                unit.first().is_some_and(|&first| self.decides(first)) && unit.len() >= ENOUGH;
            if next.is_none() && !ended && !enough {
                self.searched = stream.len().saturating_sub(2).max(code + 3);
                return None;
            }
            let found = self.take(unit);
            if found.is_some() {
                return found;
            }
            let searched = next.unwrap_or(stream.len().saturating_sub(2).max(code + 3));
            (self.code, self.searched) = (None, searched);
            if next.is_none() && ended {
                return Some(self.undecided());
            }
        }
    }

    /// A picture whose first slice was not met; without any sign of one, these are bytes of the one before.
    fn undecided(&self) -> Picture {
        let begun = match &self.syntax {
            Syntax::H264(syntax) => syntax.begun(),
            Syntax::Hevc(syntax) => syntax.begun(),
            Syntax::Mpeg2(syntax) => syntax.begun(),
            _ => false,
        };
        Picture { sync: false, part: if begun { Part::Whole } else { Part::Rest } }
    }

    fn decides(&self, first: u8) -> bool {
        match self.syntax {
            Syntax::H264(_) => h264::H264::decides(first),
            Syntax::Hevc(_) => hevc::Hevc::decides(first),
            Syntax::Mpeg2(_) => mpeg2::Mpeg2::decides(first),
            _ => true,
        }
    }

    fn take(&mut self, unit: &[u8]) -> Option<Picture> {
        match &mut self.syntax {
            Syntax::H264(syntax) => syntax.take(unit),
            Syntax::Hevc(syntax) => syntax.take(unit),
            Syntax::Vvc => hevc::vvc(unit),
            Syntax::Mpeg2(syntax) => syntax.take(unit),
            Syntax::Mpeg4 => mpeg2::mpeg4(unit),
            Syntax::Vc1(syntax) => syntax.take(unit),
            Syntax::Lossless | Syntax::Hint | Syntax::Always => None,
        }
    }

    /// The stream has pictures that are single fields and belong to the one before: a look that begins in
    /// its middle can't tell which.
    pub fn has_fields(&self) -> bool {
        matches!(&self.syntax, Syntax::Mpeg2(syntax) if syntax.fields)
    }

    /// What it knows of the stream, for a look that begins elsewhere: no field of a picture is waited for.
    pub fn parted(&self) -> Sniffer {
        let mut sniffer = self.clone();
        match &mut sniffer.syntax {
            Syntax::H264(syntax) => syntax.part(),
            Syntax::Mpeg2(syntax) => syntax.part(),
            _ => {}
        }
        sniffer
    }

    pub fn weight(&self) -> usize {
        match &self.syntax {
            Syntax::H264(_) => size_of::<h264::H264>() + 1024,
            _ => 64,
        }
    }

    /// RFC 6381's word for the codec, where the stream has told it.
    pub fn codec(&self) -> Option<String> {
        match &self.syntax {
            Syntax::H264(syntax) => Some(names::avc("avc1", syntax.latest?.profile)),
            Syntax::Hevc(syntax) => syntax.codec.clone(),
            Syntax::Mpeg2(syntax) => {
                let name = if syntax.extended { "mpeg2video" } else { "mpeg1video" };
                syntax.dimensions.map(|_| name.to_owned())
            }
            _ => None,
        }
    }

    pub fn dimensions(&self) -> Option<(u32, u32)> {
        match &self.syntax {
            Syntax::H264(syntax) => syntax.latest.map(|set| set.dimensions),
            Syntax::Hevc(syntax) => syntax.dimensions,
            Syntax::Mpeg2(syntax) => syntax.dimensions,
            _ => None,
        }
    }

    /// Frames a second, as the stream's own headers say.
    pub fn rate(&self) -> Option<Rate> {
        match &self.syntax {
            Syntax::H264(syntax) => syntax.latest?.rate,
            Syntax::Mpeg2(syntax) => syntax.rate,
            _ => None,
        }
    }
}

/// Where the next `00 00 01` lies, from `from` on.
fn start_code(stream: &[u8], from: usize) -> Option<usize> {
    let rest = stream.get(from..)?;
    rest.windows(3).position(|bytes| bytes == [0, 0, 1]).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of a stream that arrives in pieces, and after how many bytes.
    fn seen(codec: Codec, stream: &[u8], piece: usize) -> (Option<Picture>, usize) {
        let mut sniffer = Sniffer::new(codec);
        sniffer.begin(false);
        for end in (0..=stream.len()).step_by(piece) {
            if let Some(picture) = sniffer.look(&stream[..end], false) {
                return (Some(picture), end);
            }
        }
        (sniffer.look(stream, true), stream.len())
    }

    #[test]
    fn pieces_of_any_size_tell_the_same() {
        let mut stream =
            vec![0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 6, 6, 1, 0x84, 0x80, 0, 0, 1, 0x41, 0x88];
        stream.extend([7; 200]);
        for piece in 1..stream.len() {
            let (picture, bytes) = seen(Codec::H264, &stream, piece);
            assert_eq!(picture, Some(Picture { sync: true, part: Part::Whole }), "{piece}");
            assert!(bytes <= 17 + ENOUGH + piece, "{piece}: {bytes}");
        }
    }

    #[test]
    fn lossless_sound_begins_at_a_major_sync() {
        let codec = Codec::Audio("mlpa");
        for (byte, sync) in [(0x6f, true), (0x6e, false)] {
            let stream = [0xc1, 0x58, 0x16, 0x3e, 0xf8, 0x72, byte, 0xba];
            for piece in 1..9 {
                let (picture, _) = seen(codec, &stream, piece);
                assert_eq!(picture, Some(Picture { sync, part: Part::Whole }));
            }
        }
        assert!(!seen(codec, &[0xc1], 1).0.unwrap().sync);
    }

    #[test]
    fn a_stream_without_pictures_belongs_to_the_one_before() {
        let rest = Some(Picture { sync: false, part: Part::Rest });
        for codec in [Codec::H264, Codec::Hevc, Codec::Mpeg2, Codec::Mpeg4, Codec::Vc1, Codec::Vvc]
        {
            assert_eq!(seen(codec, &[0; 270_000], 1840).0, rest);
            assert_eq!(seen(codec, &[], 1).0, rest);
            assert_eq!(seen(codec, &[0, 0, 1], 1).0, rest);
            let (picture, bytes) = seen(codec, &[0xaa; 400_000], 1840);
            assert_eq!(picture, rest);
            assert!(bytes < LONGEST + 2000);
        }
        // It begins, but its slice doesn't come.
        let begun = seen(Codec::H264, &[0, 0, 1, 9, 0xf0, 0, 0, 1], 1).0;
        assert_eq!(begun, Some(Picture { sync: false, part: Part::Whole }));
    }

    #[test]
    fn sound_starts_anywhere_and_the_unknown_by_its_hint() {
        let mut sniffer = Sniffer::new(Codec::Aac);
        sniffer.begin(false);
        assert!(sniffer.look(&[], false).unwrap().sync);
        let mut sniffer = Sniffer::new(Codec::Video("cavs"));
        for hint in [false, true] {
            sniffer.begin(hint);
            assert_eq!(sniffer.look(&[], false).unwrap().sync, hint);
        }
    }
}
