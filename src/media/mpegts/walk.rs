//! A walk over a file's packets, read in blocks; it finds its step again where bytes are missing or
//! strange. Knows positions and nothing of what packets carry.

use super::packet::{Framing, Packet, SIZE, SYNC};
use crate::media::{Error, Source};
use std::io;

/// A value of this type is a walk from one packet to the next, up to an end.
pub struct Walk<'s> {
    source: &'s dyn Source,
    framing: Framing,
    /// Where the next packet is expected to begin.
    at: u64,
    end: u64,
    /// It is not known that a packet begins at `at`: more than one sync byte must prove it.
    lost: bool,
    /// More of the file may come, and with it the bytes that prove a packet, or don't.
    growing: bool,
    block: Vec<u8>,
    /// Offset of the block's first byte.
    from: u64,
    size: usize,
}

impl<'s> Walk<'s> {
    /// A walk over the packets that begin in `at..end`; the last one may reach past `end`.
    pub fn new(source: &'s dyn Source, framing: Framing, at: u64, end: u64, size: usize) -> Self {
        let size = size.max(8 * framing.stride as usize);
        let (block, from) = (Vec::new(), 0);
        Walk { source, framing, at, end, lost: false, growing: false, block, from, size }
    }

    /// The walk begins anywhere, not where a packet is known to begin.
    pub fn anywhere(mut self) -> Self {
        self.lost = true;
        self
    }

    /// The file grows: a step that was lost, here or [before](Self::is_lost), isn't found again by fewer bytes than there may be.
    pub fn growing(mut self, lost: bool) -> Self {
        (self.growing, self.lost) = (true, lost);
        self
    }

    /// It is not known that a packet begins where the walk ended.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The next packet and its position; `None` at the end.
    pub fn step(&mut self) -> Result<Option<(u64, Packet<'_>)>, Error> {
        let lead = self.framing.lead;
        if !self.hold(SIZE)? {
            return Ok(None);
        }
        if self.lost || self.byte(lead) != Some(SYNC) {
            self.lost = true;
            if !self.find_step()? {
                return Ok(None);
            }
            self.lost = false;
        }
        if self.at >= self.end {
            return Ok(None);
        }
        let at = self.at;
        self.at += self.framing.stride;
        let inside = (at + lead - self.from) as usize;
        let bytes = self.block.get(inside..).and_then(|rest| rest.first_chunk::<SIZE>());
        Ok(bytes.and_then(Packet::new).map(|packet| (at, packet)))
    }

    /// Where the next packet is expected: where a walk over a longer file would go on.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// A byte of the block, counted from the expected packet.
    fn byte(&self, ahead: u64) -> Option<u8> {
        let inside = (self.at + ahead).checked_sub(self.from)?;
        self.block.get(usize::try_from(inside).ok()?).copied()
    }

    /// Looks for the place from which three packets follow each other (fewer at the file's end).
    fn find_step(&mut self) -> Result<bool, Error> {
        let Framing { stride, lead } = self.framing;
        while self.at < self.end && self.hold(2 * stride as usize + SIZE)? {
            let here = self.byte(lead) == Some(SYNC)
                && self.byte(lead + stride).is_none_or(|byte| byte == SYNC)
                && self.byte(lead + 2 * stride).is_none_or(|byte| byte == SYNC);
            if here {
                return Ok(!self.growing || self.byte(lead + 2 * stride).is_some());
            }
            self.at += 1;
            self.skip(lead);
        }
        Ok(false)
    }

    /// Goes on to where the next sync byte of the block would be a packet's; past a hole, where there is none.
    fn skip(&mut self, lead: u64) {
        let rest =
            (self.at + lead).checked_sub(self.from).and_then(|at| self.block.get(at as usize..));
        let Some(rest) = rest else { return };
        if let Some(skip) = rest.iter().position(|&byte| byte == SYNC) {
            self.at += skip as u64;
            return;
        }
        self.at += rest.len() as u64;
        if rest.iter().all(|&byte| byte == 0) {
            let stored = self.source.stored_from(self.at + lead);
            self.at = self.at.max(stored.saturating_sub(lead));
        }
    }

    /// Has the bytes of the expected packet in the block, and `wanted` bytes where the file has them.
    fn hold(&mut self, wanted: usize) -> Result<bool, Error> {
        let length = self.source.length();
        let lead = self.framing.lead as usize;
        let rest = length.saturating_sub(self.at);
        // A file may end without the checksum of its last packet; one that grows has more to come.
        let least = if self.growing { self.framing.stride } else { (lead + SIZE) as u64 };
        if rest < least || self.at >= self.end {
            return Ok(false);
        }
        let wanted = rest.min((lead + wanted) as u64);
        let held = self.from + self.block.len() as u64;
        if self.at >= self.from && self.at + wanted <= held {
            return Ok(true);
        }
        let size = (self.size as u64).max(wanted).min(rest);
        // No more than the walk will use: its end, and a packet that reaches past it.
        let size = size.min((self.end - self.at).saturating_add(3 * self.framing.stride));
        self.block.resize(size.max(wanted) as usize, 0);
        self.from = self.at;
        let filled = crate::media::read_up_to(self.source, &mut self.block, self.at)?;
        if filled < self.block.len() {
            self.block.clear();
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter");
            return Err(Error::Io(error));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Framing = Framing { stride: 188, lead: 0 };

    fn packets(count: u8) -> Vec<u8> {
        (0..count).flat_map(|k| [&[SYNC, 0, k, 0x10][..], &[k; 184]].concat()).collect()
    }

    fn walk(file: &Vec<u8>, at: u64, end: u64) -> Vec<(u64, u16)> {
        let mut walk = Walk::new(file, PLAIN, at, end, 0).anywhere();
        let mut seen = Vec::new();
        while let Some((at, packet)) = walk.step().unwrap() {
            seen.push((at, packet.pid()));
        }
        seen
    }

    #[test]
    fn every_packet_is_met_once() {
        let file = packets(40);
        let seen = walk(&file, 0, u64::MAX);
        assert_eq!(seen, (0..40).map(|k| (k * 188, k as u16)).collect::<Vec<_>>());
        assert_eq!(walk(&file, 188, 376), [(188, 1)]);
        assert_eq!(walk(&file, 100, 200), [(188, 1)]);
        assert_eq!(walk(&file, 7520, 9000), []);
    }

    #[test]
    fn a_step_is_found_again() {
        let mut file = packets(10);
        // Four bytes of packet 3 are lost: what comes where packet 4 should is none.
        file.splice(664..668, []);
        let seen = walk(&file, 0, u64::MAX);
        assert_eq!(seen[2..5], [(376, 2), (564, 3), (936, 5)]);
        assert_eq!(seen.len(), 9);
        // Nor do two sync bytes in the right places prove a packet, if there is no third.
        let mut file = packets(10);
        (file[5], file[193]) = (SYNC, SYNC);
        file.splice(0..3, []);
        assert_eq!(walk(&file, 0, u64::MAX)[0], (185, 1));
        // A sync byte inside a payload doesn't lead astray.
        let mut file = packets(10);
        file[5] = SYNC;
        file.splice(0..3, []);
        assert_eq!(walk(&file, 0, u64::MAX)[0], (185, 1));
    }

    #[test]
    fn a_packet_cut_at_the_end_is_none() {
        let mut file = packets(4);
        file.truncate(4 * 188 - 1);
        assert_eq!(walk(&file, 0, u64::MAX).len(), 3);
    }

    struct Shrunk;

    impl Source for Shrunk {
        fn length(&self) -> u64 {
            1 << 20
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            packets(20).read_at(buffer, offset)
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let mut walk = Walk::new(&Shrunk, PLAIN, 0, 1 << 20, 0);
        while let Ok(Some(_)) = walk.step() {}
        assert!(matches!(walk.step(), Err(Error::Io(_))));
    }
}
