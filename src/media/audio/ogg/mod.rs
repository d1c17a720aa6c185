//! Ogg with one stream of sound: Opus, Vorbis or FLAC (RFC 3533, RFC 7845).
//!
//! A page tells when the last packet that ends in it ends, and each packet's first bytes tell how long it is. A packet's
//! bytes are from the page it begins in to the end of the one it ends in: players take whole pages or none.

mod codec;
mod page;

use self::{
    codec::{Codec, HEAD, Sound},
    page::{CONTINUED, FIRST, LAST, Page, next_page},
};
use super::{ROOM, listed, push, too_large};
use crate::media::{Container, Error, Source, frames::Builder, listed::Listed};
use std::ops::Range;

/// Bytes of a codec's own headers.
const MOST_HEADER: usize = 1 << 20;

pub fn recognises(head: &[u8]) -> bool {
    head.starts_with(page::MARK)
}

pub fn open(source: &dyn Source) -> Result<Listed, Error> {
    let mut page = Page::default();
    let mut at = 0;
    let (mut main, mut walk) = (None, None);
    while let Some(start) = next_page(source, at, &mut page)? {
        at = page.end;
        if page.flags & FIRST != 0 {
            if walk.as_ref().is_some_and(|walk: &Walk| walk.heard) {
                return Err(Error::broken(
                    start,
                    "another stream follows: chained Ogg is not read",
                ));
            }
            let sound = codec::sound(page.body())?;
            if let (None, Some((sound, codec))) = (main, sound) {
                main = Some(page.serial);
                walk = Some(Walk::of(sound, codec));
            }
        }
        if let Some(walk) = walk.as_mut().filter(|_| main == Some(page.serial)) {
            walk.take(&page, start)?;
        }
    }
    walk.ok_or(Error::Unknown)?.finish(at)
}

/// A value of this type is a packet of which more may come.
struct Begun {
    page: u64,
    head: Vec<u8>,
}

/// A value of this type is what the pages so far have told of the stream.
struct Walk {
    codec: Codec,
    sound: Sound,
    builder: Builder,
    begun: Option<Begun>,
    /// Packets that end in the page at hand: their bytes, and how many ticks they last.
    ended: Vec<(Range<u64>, Option<i64>)>,
    /// When the last packet of the page before ended, by what that page says.
    edge: Option<i64>,
    length: i64,
    /// Packets of sound were met, and not only headers.
    heard: bool,
}

impl Walk {
    fn of(sound: Sound, codec: Codec) -> Walk {
        Walk {
            codec,
            builder: Builder::new(sound.rate, ROOM, 1),
            sound,
            begun: None,
            ended: Vec::new(),
            edge: None,
            length: 0,
            heard: false,
        }
    }

    fn take(&mut self, page: &Page, start: u64) -> Result<(), Error> {
        let mut skips = false;
        if page.flags & CONTINUED == 0 {
            self.begun = None;
        } else {
            // The middle of a packet whose beginning isn't there.
            skips = self.begun.is_none();
        }
        self.ended.clear();
        let mut body = page.body();
        for &lace in page.laces() {
            let (piece, rest) = body.split_at(usize::from(lace).min(body.len()));
            body = rest;
            let ends = lace < u8::MAX;
            if skips {
                skips = !ends;
                continue;
            }
            let begun = self.begun.get_or_insert_with(|| Begun { page: start, head: Vec::new() });
            let most = if self.codec.is_told() { HEAD } else { MOST_HEADER };
            let room = most.saturating_sub(begun.head.len());
            begun.head.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if ends && let Some(packet) = self.begun.take() {
                self.end(packet, page.end)?;
            }
        }
        self.time(page)
    }

    /// A packet is there: a header, or sound.
    fn end(&mut self, packet: Begun, end: u64) -> Result<(), Error> {
        if self.codec.is_header(&packet.head) {
            let read = self.codec.read_header(&packet.head);
            return read.ok_or_else(|| {
                Error::broken(packet.page, "a header of the sound that can't be understood")
            });
        }
        self.heard = true;
        let length = self.codec.length(&packet.head);
        self.ended.push((packet.page..end, length));
        Ok(())
    }

    /// Puts the packets that ended in `page` in their time.
    ///
    /// The first one begins where the page before says that it ends, and the others as long before this page's end as they
    /// and those behind them last. The last page may end before its packets do, so there it goes by their lengths alone.
    fn time(&mut self, page: &Page) -> Result<(), Error> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let lengths = self.ended.iter().map(|(_, length)| length.unwrap_or(0));
        let sum = lengths.fold(0_i64, i64::saturating_add);
        let is_last = page.flags & LAST != 0;
        let granule = page.granule.filter(|_| !is_last);
        let mut next = match (self.edge, granule) {
            (Some(edge), _) => edge,
            (None, Some(granule)) => granule.saturating_sub(sum),
            (None, None) => 0,
        };
        let granule = granule.filter(|_| self.codec.counts_back());
        let mut left = sum;
        for (rank, (span, length)) in self.ended.drain(..).enumerate() {
            if let (Some(granule), 1..) = (granule, rank) {
                next = granule.saturating_sub(left);
            }
            let Some(length) = length else { continue };
            let ticks = next.saturating_sub(self.sound.skip);
            push(&mut self.builder, ticks, span)?;
            left = left.saturating_sub(length);
            next = next.saturating_add(length);
            let end = page.granule.filter(|_| is_last).unwrap_or(next);
            self.length = end.saturating_sub(self.sound.skip).max(ticks.saturating_add(1));
        }
        self.edge = Some(page.granule.unwrap_or(next));
        Ok(())
    }

    fn finish(self, at: u64) -> Result<Listed, Error> {
        let frames = self.builder.finish(Vec::new()).map_err(|_| too_large(at))?;
        let Sound { codec, rate, channels, .. } = self.sound;
        listed(Container::Ogg, codec, (rate, channels), frames, self.length)
    }
}

#[cfg(test)]
mod tests;
