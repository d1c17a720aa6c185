//! Boxes: a size, a type, a body (ISO/IEC 14496-12 §4.2), and a window to read what lies in them.
//!
//! ```text
//! size:32 type:32 [size:64 where size is 1]  body...     size 0: to the end of what holds it
//! ```

use crate::media::{Error, Source, read_exact, read_up_to};

/// The most bytes a window holds at once.
const WINDOW: usize = 32 << 10;

/// A value of this type is a box's place in the file. It never reaches past the box or file that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub kind: [u8; 4],
    /// Its first byte.
    pub start: u64,
    /// The first byte after its header.
    pub body: u64,
    /// The first byte after it.
    pub end: u64,
    /// It says it is longer than what holds it.
    pub cut: bool,
}

impl Place {
    pub fn is(&self, kind: &[u8; 4]) -> bool {
        self.kind == *kind
    }

    pub fn length(&self) -> u64 {
        self.end.saturating_sub(self.body)
    }

    /// Reads the header of the box at `start`; none where less than a header is left, or where its size is
    /// smaller than its header. Only the header's own bytes are read.
    pub fn read(source: &dyn Source, start: u64, limit: u64) -> Result<Option<Place>, Error> {
        Place::of(start, limit, |offset| {
            let mut word = [0; 8];
            read_exact(source, &mut word, offset)?;
            Ok(word)
        })
    }

    fn of(
        start: u64,
        limit: u64,
        mut word: impl FnMut(u64) -> Result<[u8; 8], Error>,
    ) -> Result<Option<Place>, Error> {
        let room = limit.saturating_sub(start);
        if room < 8 {
            return Ok(None);
        }
        let [a, b, c, d, kind @ ..] = word(start)?;
        let (size, header) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (room, 8),
            1 if room < 16 => return Ok(None),
            1 => (u64::from_be_bytes(word(start.saturating_add(8))?), 16),
            size => (u64::from(size), 8),
        };
        if size < header {
            return Ok(None);
        }
        let end = start.saturating_add(size.min(room));
        Ok(Some(Place { kind, start, body: start + header, end, cut: size > room }))
    }
}

/// A value of this type is a stretch of a file, read a window at a time and never past its end.
pub struct Window<'a> {
    source: &'a dyn Source,
    limit: u64,
    start: u64,
    held: Vec<u8>,
}

impl<'a> Window<'a> {
    pub fn new(source: &'a dyn Source, limit: u64) -> Self {
        Window { source, limit, start: 0, held: Vec::new() }
    }

    /// The `N` bytes at `offset`; an error past the end of the stretch.
    #[inline]
    pub fn bytes<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], Error> {
        if let Some(bytes) = self.held_at(offset) {
            return Ok(bytes);
        }
        self.move_to(offset)?;
        self.held_at(offset)
            .ok_or_else(|| Error::broken(offset, "a box ends before what it announces"))
    }

    #[inline]
    fn held_at<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.held.get(at..)?.first_chunk().copied()
    }

    #[cold]
    #[inline(never)]
    fn move_to(&mut self, offset: u64) -> Result<(), Error> {
        let room = usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(WINDOW).min(WINDOW);
        self.held.resize(room, 0);
        self.start = offset;
        let filled = read_up_to(self.source, &mut self.held, offset)?;
        self.held.truncate(filled);
        Ok(())
    }

    /// An error where whoever reads shall end: see [`Source::check`].
    pub fn check(&self) -> Result<(), Error> {
        Ok(self.source.check()?)
    }

    #[inline]
    pub fn u32(&mut self, offset: u64) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.bytes(offset)?))
    }

    #[inline]
    pub fn u64(&mut self, offset: u64) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.bytes(offset)?))
    }

    pub fn u16(&mut self, offset: u64) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.bytes(offset)?))
    }

    pub fn u8(&mut self, offset: u64) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.bytes(offset)?))
    }

    /// The version of a full box, and its 24 flags (§4.2.2).
    pub fn version(&mut self, place: &Place) -> Result<(u8, u32), Error> {
        let word = self.u32(place.body)?;
        Ok(((word >> 24) as u8, word & 0xff_ffff))
    }

    /// The box at `start`, read through the window: for boxes that lie close together.
    pub fn place(&mut self, start: u64, limit: u64) -> Result<Option<Place>, Error> {
        Place::of(start, limit.min(self.limit), |offset| self.bytes(offset))
    }

    /// The boxes in a box, in order, up to the first that is none.
    pub fn children(
        &mut self,
        of: &Place,
        mut each: impl FnMut(&mut Self, Place) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = of.body;
        while let Some(child) = self.place(at, of.end)? {
            at = child.end;
            each(self, child)?;
        }
        Ok(())
    }
}

/// A value of this type is a table in a box: a count, then entries of one size, all of them inside the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The first entry's first byte.
    pub start: u64,
    /// The first byte after the last entry.
    pub end: u64,
    /// As many as the box announces and holds: a count is never believed beyond the bytes that are there.
    pub count: u64,
}

impl Table {
    /// The table at `start`, of `count` entries if the box has room for them.
    pub fn new(start: u64, end: u64, count: u64, entry: u64) -> Table {
        let count = count.min(end.saturating_sub(start) / entry.max(1));
        Table { start, end: start.saturating_add(count * entry), count }
    }

    /// The table of a full box that has its count first.
    pub fn of(window: &mut Window, place: &Place, entry: u64) -> Result<Table, Error> {
        let count = window.u32(place.body.saturating_add(4))?;
        Ok(Table::new(place.body.saturating_add(8), place.end, count.into(), entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<(u64, u64, bool)> {
        let source = bytes.to_vec();
        let place = Place::read(&source, 0, source.len() as u64).unwrap();
        let windowed = Window::new(&source, source.len() as u64).place(0, source.len() as u64);
        assert_eq!(windowed.unwrap(), place);
        let place = place?;
        Some((place.body, place.end, place.cut))
    }

    #[test]
    fn a_size_is_32_bits_64_bits_or_the_rest() {
        assert_eq!(read(b"\0\0\0\x09free!?"), Some((8, 9, false)));
        assert_eq!(read(b"\0\0\0\x01free\0\0\0\0\0\0\0\x11!?"), Some((16, 17, false)));
        assert_eq!(read(b"\0\0\0\0free!?"), Some((8, 10, false)));
        assert_eq!(read(b"\0\0\xff\0free!?"), Some((8, 10, true)));
    }

    #[test]
    fn a_size_below_its_header_is_no_box() {
        assert_eq!(read(b"\0\0\0\x07free!?"), None);
        assert_eq!(read(b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f!?"), None);
        assert_eq!(read(b"\0\0\0\x01free\0\0\0"), None);
        assert_eq!(read(b"\0\0\0\x08fre"), None);
    }

    #[test]
    fn a_count_is_believed_as_far_as_the_box_reaches() {
        assert_eq!(Table::new(10, 40, u64::from(u32::MAX), 8).count, 3);
        assert_eq!(Table::new(10, 40, 2, 8), Table { start: 10, end: 26, count: 2 });
        assert_eq!(Table::new(40, 10, 2, 8).count, 0);
    }

    #[test]
    fn a_window_never_reads_past_its_end() {
        let source: Vec<u8> = (0..100u8).collect();
        let mut window = Window::new(&source, 50);
        assert_eq!(window.u32(46).unwrap(), 0x2e2f_3031);
        assert!(window.u32(47).is_err());
        assert!(window.u8(50).is_err());
        assert_eq!(window.u8(0).unwrap(), 0);
    }
}
