//! EBML: the elements of a Matroska file, read where they lie, a page at a time (RFC 8794).
//! Knows what an element is and what kinds of number it holds; never what any of them means.
//!
//! ```text
//! id: 1-4 bytes, its length marker kept      size: 1-8 bytes, marker dropped; all ones = unknown
//! 1A 45 DF A3                                A3   ->  35 bytes of content follow
//! ```

use crate::media::{Error, Source, read_up_to};

/// Bytes read in one go: enough for an element's header, or for the small elements of a page.
const PAGE: u64 = 4096;

/// Bytes read after a hop over a block: its neighbour's headers, down to the first bytes of its content.
const HOP: usize = 64;

/// Bytes read in one go where each of them is looked at.
const BLOCK: usize = 256 << 10;

/// What an element's header takes at most: an id of 4 bytes, a size of 8.
pub const HEADER: usize = 12;

/// A value of this type is where an element lies: its id, and its content in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    pub id: u32,
    pub start: u64,
    pub body: u64,
    /// Where its content ends; `None` where the writer did not know (RFC 8794 §6.2).
    pub end: Option<u64>,
}

/// A value of this type reads elements out of a file through a window of one page.
pub struct Reader<'a> {
    source: &'a dyn Source,
    length: u64,
    window: Box<[u8]>,
    from: u64,
    filled: usize,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a dyn Source) -> Self {
        let window = vec![0; PAGE as usize + HEADER + 4].into_boxed_slice();
        Self { source, length: source.length(), window, from: 0, filled: 0 }
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Up to `most` bytes at `at` (fewer only where the file ends); `most` is a few dozen at the most.
    pub fn bytes(&mut self, at: u64, most: usize) -> Result<&[u8], Error> {
        let wanted = (self.length.saturating_sub(at)).min(most.min(PAGE as usize) as u64) as usize;
        let inside = at.checked_sub(self.from).and_then(|skip| usize::try_from(skip).ok());
        let skip = match inside {
            Some(skip) if skip.saturating_add(wanted) <= self.filled => skip,
            _ => {
                self.fill(at, wanted)?;
                0
            }
        };
        Ok(self.window.get(skip..skip + wanted).unwrap_or_default())
    }

    /// Reads on to the end of the page where small elements follow each other; after a hop, a header's worth.
    fn fill(&mut self, at: u64, wanted: usize) -> Result<(), Error> {
        let after = self.from.saturating_add(self.filled as u64);
        let is_hop = at.checked_sub(after).is_none_or(|hop| hop > PAGE / 2);
        let to_page_end = (PAGE - at % PAGE) as usize;
        let want = wanted.max(if is_hop { to_page_end.min(HOP) } else { to_page_end });
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let want = want.min(self.window.len()).min(left);
        (self.from, self.filled) = (at, 0);
        let window = self.window.get_mut(..want).unwrap_or_default();
        self.filled = read_up_to(self.source, window, at)?;
        Ok(())
    }

    /// A block of the file at `at`, read into `block` at one go: for a look at every byte.
    pub fn block<'b>(&mut self, block: &'b mut Vec<u8>, at: u64) -> Result<&'b [u8], Error> {
        block.resize(BLOCK, 0);
        let filled = read_up_to(self.source, block, at)?;
        Ok(block.get(..filled).unwrap_or_default())
    }

    /// Where the next bytes are stored, from `at` on.
    pub fn stored_from(&self, at: u64) -> u64 {
        self.source.stored_from(at).max(at)
    }

    /// The element whose header starts at `at`, or `None` where these bytes are no header of one.
    pub fn element(&mut self, at: u64) -> Result<Option<Element>, Error> {
        let bytes = self.bytes(at, HEADER)?;
        let Some((id, id_length)) = id(bytes) else { return Ok(None) };
        let rest = bytes.get(id_length..).unwrap_or_default();
        let Some((size, size_length)) = vint(rest) else { return Ok(None) };
        let body = at + (id_length + size_length) as u64;
        let end = match size {
            Some(size) => match body.checked_add(size) {
                Some(end) => Some(end),
                None => return Ok(None),
            },
            None => None,
        };
        Ok(Some(Element { id, start: at, body, end }))
    }

    /// The next child of a master element whose content ends at `end`, moving `at` past it.
    ///
    /// `None` at the end, and at a child that is broken or leaves its parent: the rest of it is lost.
    pub fn child(&mut self, at: &mut u64, end: Option<u64>) -> Result<Option<Element>, Error> {
        let Some(end) = end.map(|end| end.min(self.length)) else { return Ok(None) };
        if *at >= end {
            return Ok(None);
        }
        let child = self.element(*at)?;
        Ok(match child {
            Some(Element { end: Some(child_end), .. }) if child_end <= end => {
                *at = child_end;
                child
            }
            _ => None,
        })
    }

    /// An unsigned integer of up to eight bytes; an empty one is `empty` (RFC 8794 §7.2).
    pub fn unsigned(&mut self, element: &Element, empty: u64) -> Result<u64, Error> {
        let size = size_of(element);
        if size == 0 {
            return Ok(empty);
        }
        let bytes = self.bytes(element.body, size.min(8) as usize)?;
        Ok(bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// A float of four or eight bytes; anything else is none (RFC 8794 §7.3).
    pub fn float(&mut self, element: &Element) -> Result<Option<f64>, Error> {
        let bytes = self.bytes(element.body, size_of(element).min(9) as usize)?;
        if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            return Ok(Some(f64::from(f32::from_be_bytes(four))));
        }
        Ok(<[u8; 8]>::try_from(bytes).ok().map(f64::from_be_bytes))
    }

    /// The text of an element, up to its first NUL, cut at `most` bytes.
    pub fn text(&mut self, element: &Element, most: usize) -> Result<String, Error> {
        let most = (size_of(element).min(most as u64)) as usize;
        let bytes = self.bytes(element.body, most)?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

pub fn size_of(element: &Element) -> u64 {
    element.end.map_or(0, |end| end - element.body)
}

/// An element's id, with its marker, and how many bytes it takes.
fn id(bytes: &[u8]) -> Option<(u32, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let bytes = bytes.get(..length).filter(|_| length <= 4)?;
    Some((bytes.iter().fold(0, |id, &byte| id << 8 | u32::from(byte)), length))
}

/// A variable-length number without its marker, and how many bytes it takes; all ones is unknown.
pub fn vint(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let bytes = bytes.get(..length).filter(|_| length <= 8)?;
    let ones = (1_u64 << (7 * length)) - 1;
    let value = bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)) & ones;
    Some(((value != ones).then_some(value), length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::matroska::made::Bytes;

    #[test]
    fn a_number_is_as_long_as_its_leading_zeros_say() {
        for (bytes, value, length) in [
            (&[0x81][..], Some(1), 1),
            (&[0x40, 0x02], Some(2), 2),
            (&[0x10, 0, 0, 0x7F], Some(127), 4),
            (&[0x01, 0, 0, 0, 0, 0, 0, 9], Some(9), 8),
            (&[0xFF], None, 1),
            (&[0x7F, 0xFF], None, 2),
            (&[0x01, 255, 255, 255, 255, 255, 255, 255], None, 8),
        ] {
            assert_eq!(vint(bytes), Some((value, length)), "{bytes:x?}");
        }
        for bytes in [&[][..], &[0x00, 1, 2, 3, 4, 5, 6, 7, 8], &[0x40]] {
            assert_eq!(vint(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn an_id_keeps_its_marker_and_has_four_bytes_at_most() {
        assert_eq!(id(&[0x1A, 0x45, 0xDF, 0xA3]), Some((0x1A45_DFA3, 4)));
        assert_eq!(id(&[0xA3, 1]), Some((0xA3, 1)));
        assert_eq!(id(&[0x08, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_child_that_leaves_its_parent_ends_the_walk() {
        let file = Bytes::of(&[0xEC, 0x82, 7, 7, 0xEC, 0x84, 1, 1, 1, 1]);
        let mut reader = Reader::new(&file);
        let mut at = 0;
        assert_eq!(reader.child(&mut at, Some(9)).unwrap().unwrap().end, Some(4));
        assert_eq!(at, 4);
        assert_eq!(reader.child(&mut at, Some(9)).unwrap(), None);
        assert_eq!(reader.child(&mut at, Some(10)).unwrap().unwrap().end, Some(10));
    }

    #[test]
    fn what_lies_across_two_pages_is_read_whole() {
        let mut bytes = vec![0; 4090];
        bytes.extend([0x1A, 0x45, 0xDF, 0xA3, 0x01, 0, 0, 0, 0, 0, 0, 3, 9, 9, 9]);
        let file = Bytes::of(&bytes);
        let mut reader = Reader::new(&file);
        reader.bytes(4000, 8).unwrap();
        let element = reader.element(4090).unwrap().unwrap();
        assert_eq!((element.body, element.end), (4102, Some(4105)));
        assert_eq!(reader.unsigned(&element, 0).unwrap(), 0x09_0909);
    }

    #[test]
    fn a_file_that_shrinks_is_not_broken() {
        let mut file = Bytes::of(&[0xEC, 0x82, 7, 7]);
        let mut reader = Reader::new(&file);
        assert_eq!(reader.bytes(2, 8).unwrap(), [7, 7]);
        file.length = 40;
        let mut reader = Reader::new(&file);
        assert!(matches!(reader.bytes(2, 8), Err(Error::Io(_))));
    }
}
