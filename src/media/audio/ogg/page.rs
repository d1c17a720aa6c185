//! Ogg's pages (RFC 3533 §6).

use crate::media::{Error, Source, audio::MOST_DAMAGE, read_up_to};

pub const MARK: &[u8; 4] = b"OggS";
/// The page goes on with a packet of the one before.
pub const CONTINUED: u8 = 1;
/// The stream's first page, and its last.
pub const FIRST: u8 = 2;
pub const LAST: u8 = 4;

const HEADER: usize = 27;
const LONGEST: usize = HEADER + 255 + 255 * 255;

/// A value of this type is one page.
///
/// ```text
/// OggS | version: 8 = 0 | flags: 8 | granule: 64 | serial: 32 | number: 32 | sum: 32 | laces: 8 | lace: 8 ... | body
/// ```
#[derive(Default)]
pub struct Page {
    pub flags: u8,
    /// When the last packet that ends here ends, in samples; none where none ends.
    pub granule: Option<i64>,
    pub serial: u32,
    /// Where the next page begins.
    pub end: u64,
    laces: usize,
    bytes: Vec<u8>,
    filled: usize,
}

impl Page {
    /// How the body is cut into packets: a lace below 255 is the end of one.
    pub fn laces(&self) -> &[u8] {
        self.bytes.get(HEADER..HEADER + self.laces).unwrap_or_default()
    }

    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER + self.laces..self.filled).unwrap_or_default()
    }

    /// Whether there is a whole page at `at`.
    fn read(&mut self, source: &dyn Source, at: u64) -> Result<bool, Error> {
        self.bytes.resize(LONGEST, 0);
        self.filled = read_up_to(source, self.bytes.get_mut(..HEADER).unwrap_or_default(), at)?;
        let Some(header) = self.bytes.first_chunk::<HEADER>().filter(|_| self.filled == HEADER)
        else {
            return Ok(false);
        };
        let [b'O', b'g', b'g', b'S', 0, flags, rest @ ..] = header else { return Ok(false) };
        let (Some(granule), Some(serial)) = (rest.first_chunk(), rest.get(8..12)) else {
            return Ok(false);
        };
        self.flags = *flags;
        self.granule = Some(i64::from_le_bytes(*granule)).filter(|granule| *granule != -1);
        self.serial = serial.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
        self.laces = header.last().copied().unwrap_or_default().into();
        let laces = self.bytes.get_mut(HEADER..HEADER + self.laces).unwrap_or_default();
        if read_up_to(source, laces, at.saturating_add(HEADER as u64))? < laces.len() {
            return Ok(false);
        }
        let begin = HEADER + self.laces;
        let length = self.laces().iter().map(|&lace| usize::from(lace)).sum::<usize>();
        let body = self.bytes.get_mut(begin..begin + length).unwrap_or_default();
        let is_whole = read_up_to(source, body, at.saturating_add(begin as u64))? == length;
        self.filled = begin + length;
        self.end = at.saturating_add(self.filled as u64);
        Ok(is_whole)
    }
}

/// Reads the next page at `at` or soon behind it into `page`, and tells where it begins; none where none is whole.
pub fn next_page(source: &dyn Source, mut at: u64, page: &mut Page) -> Result<Option<u64>, Error> {
    let last = at.saturating_add(MOST_DAMAGE);
    let mut seen = [0; 4096];
    while at <= last {
        if page.read(source, at)? {
            return Ok(Some(at));
        }
        let from = at.saturating_add(1);
        let filled = read_up_to(source, &mut seen, from)?;
        let seen = seen.get(..filled).unwrap_or_default();
        let skip = seen.windows(MARK.len()).position(|four| four == MARK);
        let passed = seen.len().saturating_sub(MARK.len() - 1);
        if skip.is_none() && passed == 0 {
            return Ok(None);
        }
        at = from.saturating_add(skip.unwrap_or(passed) as u64);
    }
    Ok(None)
}
