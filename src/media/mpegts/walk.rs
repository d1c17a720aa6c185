//! A walk over a file's packets, read in blocks; it finds its step again where bytes are missing or
//! strange, and passes over packets that are sent twice. Knows positions and nothing of what packets carry.

use super::packet::{Framing, NULL, PIDS, Packet, SIZE, SYNC};
use crate::media::{Error, Source};

/// A duplicate repeats one of so many packets before it; mostly it is the next one. Where a walk begins so many are read for this.
const APART: u64 = 16;

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
    /// For each PID one more than the counter of its last packet, where the packets since are this walk's; empty if duplicates are given.
    counters: Vec<u8>,
    block: Vec<u8>,
    /// Offset of the block's first byte.
    from: u64,
    size: usize,
}

impl<'s> Walk<'s> {
    /// A walk over the packets that begin in `at..end`; the last one may reach past `end`.
    pub fn new(source: &'s dyn Source, framing: Framing, at: u64, end: u64, size: usize) -> Self {
        let size = size.max(8 * framing.stride as usize);
        let (block, from, counters) = (Vec::new(), 0, vec![0; PIDS]);
        Walk { source, framing, at, end, lost: false, growing: false, counters, block, from, size }
    }

    /// Packets that are sent twice are given twice, and nothing before the first is read.
    pub fn with_duplicates(mut self) -> Self {
        self.counters = Vec::new();
        self
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
        loop {
            if !self.hold(SIZE)? {
                return Ok(None);
            }
            if self.lost || self.byte(lead) != Some(SYNC) {
                self.lost = true;
                // The packets before aren't those that lie in step before what is found.
                self.counters.fill(0);
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
            if !self.is_duplicate(at) {
                return Ok(self.packet(at).map(|packet| (at, packet)));
            }
        }
    }

    /// The packet that begins there, if the block has it.
    fn packet(&self, at: u64) -> Option<Packet<'_>> {
        let inside = (at + self.framing.lead).checked_sub(self.from)?;
        let bytes = self.block.get(usize::try_from(inside).ok()?..)?.first_chunk()?;
        Packet::new(bytes)
    }

    /// Whether the packet at that place repeats the one of its PID before. That depends on nothing but the bytes before it, wherever
    /// the walk began; counters that follow each other spare the look.
    fn is_duplicate(&mut self, at: u64) -> bool {
        let Some(packet) = self.packet(at) else { return false };
        let (pid, counter) = (packet.pid(), packet.counter() + 1);
        let Some(&known) = self.counters.get(usize::from(pid)) else { return false };
        let may = pid != NULL && (known == 0 || known == counter) && !packet.payload().is_empty();
        let duplicate = may && {
            let places = (1..=APART).map_while(|back| at.checked_sub(back * self.framing.stride));
            let mut before = places.map_while(|place| self.packet(place));
            before.find(|before| before.pid() == pid).is_some_and(|it| packet.repeats(it))
        };
        self.counters[usize::from(pid)] = counter;
        duplicate
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
        // What a duplicate may repeat.
        let back = if self.counters.is_empty() { 0 } else { APART * self.framing.stride };
        let back = back.min(self.at);
        let kept = if self.block.is_empty() {
            self.from = self.at - back;
            0
        } else {
            self.keep(back)
        };
        let begin = self.from + kept as u64;
        self.block.resize(kept + (self.at + size.max(wanted) - begin) as usize, 0);
        let fresh = self.block.get_mut(kept..).unwrap_or_default();
        // Never past the length that the file had: it is read whole, or became shorter.
        let read = crate::media::read_up_to(self.source, fresh, begin);
        if read.is_err() {
            self.block.clear();
        }
        read.map(|_| true)
    }

    /// Keeps the last bytes of the block, so many before the expected packet, and says how many. None where that lies behind the block.
    fn keep(&mut self, back: u64) -> usize {
        let held = self.from + self.block.len() as u64;
        let kept = match held.checked_sub(self.at) {
            Some(ahead) => (back.min(self.at - self.from) + ahead) as usize,
            None => 0,
        };
        let begin = self.block.len() - kept;
        self.block.copy_within(begin.., 0);
        self.from = if kept > 0 { self.from + begin as u64 } else { self.at };
        kept
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

    /// These packets: each a PID, a counter, and what it bears.
    fn stream(packets: &[(u8, u8, u8)]) -> Vec<u8> {
        let bytes = |&(pid, counter, payload): &(u8, u8, u8)| {
            [&[SYNC, 0, pid, 0x10 | counter][..], &[payload; 184]].concat()
        };
        packets.iter().flat_map(bytes).collect()
    }

    fn places(file: &Vec<u8>, at: u64) -> Vec<u64> {
        walk(file, at, u64::MAX).into_iter().map(|(at, _)| at / 188).collect()
    }

    #[test]
    fn a_packet_that_is_sent_again_is_passed_over() {
        let (a, b, c) = ((1, 7, 1), (2, 7, 1), (1, 8, 2));
        let cases: [(&[_], &[u64]); 6] = [
            (&[a, a, c, c, b], &[0, 2, 4]),
            // Those of other streams may lie between, not one of its own.
            (&[a, b, a, c], &[0, 1, 3]),
            (&[a, c, a, c], &[0, 1, 2, 3]),
            // Another payload with the same counter is no duplicate.
            (&[a, (1, 7, 9), a], &[0, 1, 2]),
            (&[a, a, a], &[0]),
            (&[a, b, b, a], &[0, 1]),
        ];
        for (packets, given) in cases {
            assert_eq!(places(&stream(packets), 0), given, "{packets:?}");
        }
    }

    #[test]
    fn it_is_passed_over_wherever_the_walk_begins() {
        let packets: Vec<_> = (0..200_u8).map(|k| (k / 2 % 3, (k / 6) & 15, k / 6)).collect();
        let file = stream(&packets);
        let all: Vec<u64> = (0..100).map(|k| 2 * k).collect();
        assert_eq!(places(&file, 0), all);
        for from in 0..200 {
            let wanted: Vec<u64> = all.iter().copied().filter(|&at| at >= from).collect();
            assert_eq!(places(&file, from * 188), wanted, "from {from}");
        }
    }

    #[test]
    fn a_duplicate_is_not_far_from_its_packet() {
        for (apart, is) in [(14, true), (15, true), (16, false)] {
            let between = (0..apart).map(|k| (2, k, 0));
            let packets: Vec<_> =
                [(1, 5, 5)].into_iter().chain(between).chain([(1, 5, 5)]).collect();
            let given = places(&stream(&packets), 0).len();
            assert_eq!(given == packets.len() - 1, is, "{apart}");
            assert_eq!(places(&stream(&packets), 188).len() + 1, given, "{apart}");
        }
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

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
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
