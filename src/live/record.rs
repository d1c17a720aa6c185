//! What is known of an upload beside its bytes, in a small file next to them, so that a new process can
//! go on where one was killed. Written in place by positioned writes; holds nothing in memory.
//!
//! ```text
//! "reelmap" 2  total:64  begun:64  boot:128  replaces:64  0...    64 bytes; total is all ones where it isn't known
//! start:64  written:64  synced:64  0:64                 32 bytes for each part: no page ends within
//! ```
//!
//! What was written before a process was killed is there after it; what was written before the power was
//! lost may not be, but for what was synced. So the boot is noted: in another one, only that counts.

use crate::store::Unhurried;
use rustix::{fs::FlockOperation, io::Errno};
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const MAGIC: &[u8; 8] = b"reelmap\x02";
const HEAD: usize = 64;
const SLOT: usize = 32;

/// The most slots that a record has.
pub const MOST_SLOTS: u64 = 1_000_000;

/// A value of this type is an open record.
#[derive(Debug)]
pub struct Record(Unhurried<File>);

/// A value of this type is what a record says of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many bytes there will be, if that is known.
    pub total: Option<u64>,
    pub begun: SystemTime,
    /// Whether there was a file of its name when it began.
    pub replaces: bool,
}

/// A value of this type is all that a record says.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub head: Head,
    /// Where each part begins, and how far of it counts.
    pub parts: Vec<Range<u64>>,
}

impl Record {
    /// Takes the file's lock (flock(2)), which ends with the process: `WouldBlock` if somebody else has it, be it
    /// another process or this one by another way to the file.
    pub fn lock(file: File) -> io::Result<Record> {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(errno @ Errno::WOULDBLOCK) => Err(errno.into()),
            // Not every file system has locks.
            _ => Ok(Record(Unhurried::file(file, 0))),
        }
    }

    pub fn file(&self) -> &File {
        &self.0
    }

    /// Gives the lock back before the last who knows the record has let go of it.
    pub fn unlock(&self) {
        // Who has no lock has nothing to give back.
        let _ = rustix::fs::flock(&*self.0, FlockOperation::Unlock);
    }

    /// Reads one that was begun. One that makes no sense is `InvalidData`.
    pub fn read(&self) -> io::Result<Read> {
        let Record(file) = self;
        let mut bytes = vec![0; HEAD];
        file.read_exact_at(&mut bytes, 0)?;
        if !bytes.starts_with(MAGIC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no record of an upload"));
        }
        if file.metadata()?.len() > place(MOST_SLOTS) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no record is so long"));
        }
        let total = Some(number(&bytes, 8)).filter(|total| *total != u64::MAX);
        let begun = UNIX_EPOCH + Duration::from_nanos(number(&bytes, 16));
        let replaces = number(&bytes, 40) == 1;
        let same_boot = boot() != [0; 16] && bytes.get(24..40) == Some(&boot());
        let mut parts = Vec::new();
        let mut slot = [0; SLOT];
        // A slot that was not wholly written is one whose part had not begun.
        while file.read_exact_at(&mut slot, place(parts.len() as u64)).is_ok() {
            let [start, written, synced] = [0, 8, 16].map(|at| number(&slot, at));
            parts.push(start..if same_boot { written } else { synced }.max(start));
        }
        Ok(Read { head: Head { total, begun, replaces }, parts })
    }

    /// Notes what is known of the whole, and that it is this boot.
    pub fn write_head(&self, head: &Head) -> io::Result<()> {
        let Head { total, begun, replaces } = *head;
        let mut head = [0; HEAD];
        let since = begun.duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        head[..8].copy_from_slice(MAGIC);
        head[8..16].copy_from_slice(&total.unwrap_or(u64::MAX).to_le_bytes());
        head[16..24].copy_from_slice(&begun.to_le_bytes());
        head[24..40].copy_from_slice(&boot());
        head[40..48].copy_from_slice(&u64::from(replaces).to_le_bytes());
        self.0.write_all_at(&head, 0)
    }

    /// Says nothing from now on, as if it were of no upload.
    pub fn void(&self) -> io::Result<()> {
        self.0.set_len(0)
    }

    /// Begins the part `slot` at `start`, of which nothing is there.
    pub fn begin_part(&self, slot: u64, start: u64) -> io::Result<()> {
        let mut bytes = [0; SLOT];
        bytes[..24].as_chunks_mut().0.fill(start.to_le_bytes());
        self.0.write_all_at(&bytes, place(slot))
    }

    /// Notes that the part `slot` is there up to `end`. Eight bytes that lie in one page: a process that
    /// is killed has written them or has not.
    pub fn written(&self, slot: u64, end: u64) -> io::Result<()> {
        self.0.write_all_at(&end.to_le_bytes(), place(slot) + 8)
    }

    /// Notes how far each part would outlast a loss of power, and waits until the notes would, too. For
    /// bytes that were synced before.
    pub fn synced(&self, parts: impl IntoIterator<Item = (u64, u64)>) -> io::Result<()> {
        for (slot, end) in parts {
            self.0.write_all_at(&end.to_le_bytes(), place(slot) + 16)?;
        }
        self.0.sync_data()
    }

    /// Goes on, in this boot, with what was `read` and has been synced since: nothing else is there.
    pub fn go_on(&self, read: &Read) -> io::Result<()> {
        for (slot, part) in (0..).zip(&read.parts) {
            let end = part.end.to_le_bytes();
            self.0.write_all_at(&[end, end].concat(), place(slot) + 8)?;
        }
        // What was written and is lost must not count as soon as the boot is this one.
        self.0.sync_data()?;
        self.write_head(&read.head)
    }
}

fn place(slot: u64) -> u64 {
    HEAD as u64 + slot.saturating_mul(SLOT as u64)
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| u64::from_le_bytes(*field))
}

/// What this boot of the machine is called (random(4)); zeros where nobody says.
fn boot() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = text.trim().replace('-', "");
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(total: Option<u64>) -> Head {
        let begun = UNIX_EPOCH + Duration::from_nanos(1_795_338_971_123_456_789);
        Head { total, begun, replaces: true }
    }

    fn read(file: &File) -> io::Result<(Record, Read)> {
        let record = Record::lock(file.try_clone()?)?;
        let read = record.read()?;
        Ok((record, read))
    }

    fn made(total: Option<u64>) -> (Record, File) {
        let file = tempfile::tempfile().unwrap();
        let record = Record::lock(file.try_clone().unwrap()).unwrap();
        record.write_head(&head(total)).unwrap();
        (record, file)
    }

    fn parts(file: &File) -> Vec<(u64, u64)> {
        let (_, read) = read(file).unwrap();
        read.parts.iter().map(|part| (part.start, part.end)).collect()
    }

    #[test]
    fn a_record_says_what_was_written() {
        let (record, file) = made(None);
        record.begin_part(0, 0).unwrap();
        record.begin_part(1, 100).unwrap();
        record.written(1, 150).unwrap();
        record.written(0, 30).unwrap();
        let (again, noted) = read(&file).unwrap();
        let parts = vec![0..30, 100..150];
        assert_eq!(noted, Read { head: head(None), parts });
        again.write_head(&head(Some(150))).unwrap();
        assert_eq!(read(&file).unwrap().1.head, head(Some(150)));
    }

    #[test]
    fn in_another_boot_only_what_was_synced_counts() {
        let (record, file) = made(Some(100));
        record.begin_part(0, 0).unwrap();
        record.begin_part(1, 70).unwrap();
        record.written(0, 50).unwrap();
        record.synced([(0, 40)]).unwrap();
        record.written(0, 60).unwrap();
        record.written(1, 80).unwrap();
        assert_eq!(parts(&file), [(0, 60), (70, 80)]);
        file.write_all_at(&[7; 16], 24).unwrap();
        assert_eq!(parts(&file), [(0, 40), (70, 70)]);
        // What was lost doesn't come back with the next process of that boot, nor of a third.
        let (record, noted) = read(&file).unwrap();
        record.go_on(&noted).unwrap();
        assert_eq!(parts(&file), [(0, 40), (70, 70)]);
        record.written(0, 45).unwrap();
        assert_eq!(parts(&file), [(0, 45), (70, 70)]);
        file.write_all_at(&[8; 16], 24).unwrap();
        assert_eq!(parts(&file), [(0, 40), (70, 70)]);
    }

    #[test]
    fn what_is_gone_on_with_would_outlast_a_loss_of_power() {
        let (record, file) = made(None);
        record.begin_part(0, 0).unwrap();
        record.written(0, 50).unwrap();
        let (record, noted) = read(&file).unwrap();
        record.go_on(&noted).unwrap();
        file.write_all_at(&[7; 16], 24).unwrap();
        assert_eq!(parts(&file), [(0, 50)]);
    }

    #[test]
    fn a_slot_that_was_torn_is_no_part() {
        let (record, file) = made(None);
        record.begin_part(0, 0).unwrap();
        record.written(0, 9).unwrap();
        file.write_all_at(&[0xff; SLOT - 1], place(1)).unwrap();
        assert_eq!(parts(&file), [(0, 9)]);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for bytes in [&b""[..], b"reelmap", &[0; 200]] {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(bytes, 0).unwrap();
            assert!(read(&file).is_err(), "{bytes:?}");
        }
    }
}
