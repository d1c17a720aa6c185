//! An open file, its identity, its mapping. It never looks a file up by name: that is `root`'s.

use super::{
    fingerprint::Fingerprint,
    identity::{Drift, Identity, WANTED, kind},
    mapping::{Census, Mapping},
    residency::Runs,
    stamp,
    unhurried::Unhurried,
};
use bytes::Bytes;
use rustix::{
    fs::{AtFlags, FileType, SeekFrom},
    io::Errno,
};
use std::{
    fs::File,
    io,
    ops::Range,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

/// A file's time is set when a write call begins. One that was written to less than this ago may still be
/// in the middle of it, and no look would tell.
const SETTLING: Duration = Duration::from_millis(100);

/// A value of this type is one state of one regular file, open and mapped. It never changes: a file
/// that changed is another asset. But one that was made [`Asset::growing`] stands for a file that is
/// only appended to, as far as the bytes that were promised.
#[derive(Debug)]
pub struct Asset {
    file: Unhurried<File>,
    remote: bool,
    identity: Identity,
    fingerprint: Fingerprint,
    mapping: Mapping,
    /// When the write that made it can be trusted to be over; none if that was long ago.
    settled_at: Option<Instant>,
    opened: Instant,
    /// When the file was last seen not to have drifted, in nanoseconds after `opened`.
    looked_at: AtomicU64,
    /// Which of its runs were in memory a moment ago.
    pub(super) runs: Runs,
    /// The last state that was seen to be nothing but a longer `identity`.
    grown: Mutex<Identity>,
    sends: AtomicBool,
    tag: Option<String>,
    /// Of a file that grows, how many bytes were promised to be there.
    promised: Option<AtomicU64>,
}

impl Asset {
    /// Maps an open regular file as it is now. Waits for the disk.
    pub(crate) fn new(file: File, census: &Arc<Census>) -> io::Result<Asset> {
        Asset::mapped(file, None, census)
    }

    /// Maps the first `room` bytes of a file that grows, whether they are there yet or not: those that
    /// are [promised](Asset::promise) may be lent. Waits for the disk.
    pub fn growing(file: File, room: u64, census: &Arc<Census>) -> io::Result<Asset> {
        Asset::mapped(file, Some(room), census)
    }

    fn mapped(file: File, room: Option<u64>, census: &Arc<Census>) -> io::Result<Asset> {
        let how = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        let stat = rustix::fs::statx(&file, c"", how, WANTED)?;
        if kind(&stat) != FileType::RegularFile {
            return Err(io::ErrorKind::NotFound.into());
        }
        let identity = Identity::of(&stat);
        // What grows is compared with what was promised alone.
        let compared = if room.is_some() { 0 } else { identity.size };
        let fingerprint = Fingerprint::take(&file, compared)?;
        let mapping = Mapping::new(&file, room.unwrap_or(identity.size), census)?;
        let tag = stamp::read(&file, &identity);
        // A time that lies ahead counts as now. What was promised of a file that grows is settled.
        let age = SystemTime::now().duration_since(identity.modified()).unwrap_or_default();
        let settled_at = match room {
            Some(_) => None,
            None => SETTLING.checked_sub(age).map(|left| Instant::now() + left),
        };
        let remote = is_remote(file.as_fd());
        let file = Unhurried::new(file, identity.size, remote);
        let (grown, sends) = (Mutex::new(identity), AtomicBool::new(true));
        let promised = room.map(|_| AtomicU64::new(0));
        Ok(Asset {
            file,
            remote,
            identity,
            fingerprint,
            mapping,
            settled_at,
            opened: Instant::now(),
            looked_at: AtomicU64::new(0),
            runs: Runs::default(),
            grown,
            sends,
            tag,
            promised,
        })
    }

    /// Lets go of the file, and waits until that is done: if it has no name any more and nobody reads it, its disk space
    /// is free then.
    pub(crate) fn close(mut self) {
        self.file.hurry();
        self.mapping.hurry();
    }

    /// The tag that the stream had which this file was received as, if it is still that.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Says that a file that grows has at least `length` bytes from now on.
    pub fn promise(&self, length: u64) {
        if let Some(promised) = &self.promised {
            promised.fetch_max(length, Relaxed);
        }
    }

    /// How many bytes of the file are mapped, whether they are there or not.
    pub fn room(&self) -> u64 {
        self.mapping.room()
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Length in bytes when it was opened.
    pub fn length(&self) -> u64 {
        self.identity.size
    }

    /// Whether a look at the file may have to ask another process or another machine (FUSE, NFS,
    /// SMB and what else is not a known local file system), and so may wait.
    pub fn remote(&self) -> bool {
        self.remote
    }

    /// The same file, for another to hold.
    pub fn reopened(&self) -> io::Result<File> {
        Ok(self.file.as_fd().try_clone_to_owned()?.into())
    }

    /// Reads up to `buffer.len()` bytes at `offset`, not through the mapping; 0 at the end of the file. May wait
    /// for the disk.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(self.file(), buffer, offset)?)
    }

    /// Where the next bytes are stored from `offset` on, past a hole; `offset` where that can't be told.
    pub fn stored_from(&self, offset: u64) -> u64 {
        match rustix::fs::seek(self.file(), SeekFrom::Data(offset)) {
            Ok(stored) => stored.max(offset),
            // A hole reaches to the file's end.
            Err(Errno::NXIO) => self.length().max(offset),
            Err(_) => offset,
        }
    }

    /// How long it is until its bytes can be trusted to be those of one state; `None` if they can be.
    pub fn settles_in(&self) -> Option<Duration> {
        self.settled_at?.checked_duration_since(Instant::now())
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The bytes of `span`, borrowed from the mapping; `None` where it isn't wholly inside.
    pub fn slice(&self, span: Range<u64>) -> Option<Bytes> {
        self.mapping.slice(span)
    }

    /// Sends up to `most` bytes from `offset` on to a socket, without a copy and without the mapping
    /// (`sendfile(2)`): how many it took, 0 where the file no longer reaches.
    ///
    /// Fails with EINVAL, ENOSYS or EOPNOTSUPP where the file system doesn't do that.
    pub fn send(&self, to: impl AsFd, mut offset: u64, most: usize) -> io::Result<usize> {
        let sent = rustix::fs::sendfile(to, self.file(), Some(&mut offset), most);
        if let Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) = sent {
            self.sends.store(false, Relaxed);
        }
        Ok(sent?)
    }

    /// Whether [`Asset::send`] may work: no attempt has shown that it doesn't.
    pub fn sends(&self) -> bool {
        self.sends.load(Relaxed)
    }

    /// The file's state as it is now. May wait where the asset is remote.
    pub fn now(&self) -> io::Result<Identity> {
        let how = AtFlags::STATX_FORCE_SYNC;
        self.state(if self.remote() { how } else { AtFlags::STATX_DONT_SYNC })
    }

    /// What became of the file since it was opened. Never waits: a remote file system answers what
    /// it last knew.
    ///
    /// Growth is remembered, so that a rewrite after a growth is seen as one.
    pub fn drift(&self) -> io::Result<Drift> {
        let began = Instant::now();
        let drift = self.look(AtFlags::STATX_DONT_SYNC)?;
        if matches!(drift, Drift::None | Drift::Grew) {
            self.note_look(began);
        }
        Ok(drift)
    }

    /// The same, from the file system's own source, whatever it was last told and for however long
    /// it believes that. May wait where the asset is remote.
    pub fn drift_synced(&self) -> io::Result<Drift> {
        self.look(AtFlags::STATX_FORCE_SYNC)
    }

    /// Whether the bytes that were there are others now, as far as a few of them tell: a longer film was
    /// copied over this one. `None` where only one who may wait can tell.
    fn is_written_anew(&self, may_wait: bool) -> io::Result<Option<bool>> {
        let length = self.identity.size;
        let now = match may_wait {
            true => Some(Fingerprint::take(self.file(), length)?),
            false => Fingerprint::recall(self.file(), length),
        };
        Ok(now.map(|now| now != self.fingerprint))
    }

    /// Whether the file was seen not to have drifted, by a look that began at most `ago` before now. Of
    /// one that is remote, grows or may be in the middle of a write, each who sends has to see it.
    pub fn was_looked_at(&self, ago: Duration) -> bool {
        if ago.is_zero() || self.remote || self.grows() || self.settles_in().is_some() {
            return false;
        }
        let looked_at = Duration::from_nanos(self.looked_at.load(Relaxed));
        !looked_at.is_zero() && self.age().saturating_sub(looked_at) <= ago
    }

    /// Whether it was made for a file that grows.
    pub(super) fn grows(&self) -> bool {
        self.promised.is_some()
    }

    /// How long ago it was opened.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Notes that a look that began at `began` saw the file as it was opened, or nothing but longer.
    pub(super) fn note_look(&self, began: Instant) {
        let after = began.saturating_duration_since(self.opened).as_nanos();
        self.looked_at.fetch_max(u64::try_from(after).unwrap_or(u64::MAX), Relaxed);
    }

    fn state(&self, how: AtFlags) -> io::Result<Identity> {
        let stat = rustix::fs::statx(self.file(), c"", how | AtFlags::EMPTY_PATH, WANTED)?;
        Ok(Identity::of(&stat))
    }

    fn look(&self, how: AtFlags) -> io::Result<Drift> {
        if let Some(promised) = &self.promised {
            // Before the look: what is promised meanwhile may not be in it.
            let promised = promised.load(Relaxed);
            let shrank = self.state(how)?.size < promised;
            return Ok(if shrank { Drift::Shrank } else { Drift::None });
        }
        if self.state(how)? == self.identity {
            return Ok(Drift::None);
        }
        self.look_again(|| self.is_written_anew(how == AtFlags::STATX_FORCE_SYNC))
    }

    /// What became of the file since it was last seen to have grown. `is_written_anew` may wait, and keeps nobody from
    /// looking meanwhile.
    fn look_again(
        &self,
        is_written_anew: impl FnOnce() -> io::Result<Option<bool>>,
    ) -> io::Result<Drift> {
        let grown = || self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        let was = *grown();
        // Looked at again, for another thread may have seen more growth since, and noted it.
        let now = self.state(AtFlags::STATX_DONT_SYNC)?;
        let drift = was.drift(&now);
        if drift == Drift::Grew {
            match is_written_anew()? {
                Some(false) => {
                    let mut grown = grown();
                    if grown.drift(&now) == Drift::Grew {
                        *grown = now;
                    }
                }
                Some(true) => return Ok(Drift::Touched),
                // One who may wait asks again before more of it is sent.
                None if self.remote => {}
                // They are being written, or have left memory: by the next look they may be there.
                None => {
                    Fingerprint::ask_for(self.file(), self.identity.size);
                    return Ok(Drift::Touched);
                }
            }
        }
        Ok(drift)
    }
}

/// Whether the file system of `fd` isn't one of those known to answer from this machine's memory
/// and disks alone. The numbers are those of `statfs(2)` and linux/magic.h.
pub(super) fn is_remote(fd: BorrowedFd<'_>) -> bool {
    const LOCAL: [u64; 10] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0xF2F5_2010, // f2fs
        0x0102_1994, // tmpfs
        0x8584_58F6, // ramfs
        0x794C_7630, // overlayfs
        0x2FC1_2FC1, // zfs
        0xCA45_1A4E, // bcachefs
        0x9660,      // iso9660
    ];
    rustix::fs::fstatfs(fd).map_or(true, |fs| !LOCAL.contains(&(fs.f_type as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn a_look_counts_for_as_long_as_the_asker_says() {
        let of_age = |file: File, age| {
            file.set_modified(SystemTime::now() - age).unwrap();
            Asset::new(file, &Arc::default()).unwrap()
        };
        let (long_ago, moment) = (Duration::from_secs(60), Duration::from_secs(600));
        let asset = of_age(tempfile::tempfile().unwrap(), long_ago);
        assert!(!asset.was_looked_at(moment), "nobody looked");
        assert_eq!(asset.drift().unwrap(), Drift::None);
        assert!(asset.was_looked_at(moment));
        assert!(!asset.was_looked_at(Duration::ZERO));
        assert!(!asset.was_looked_at(Duration::from_nanos(1)), "it takes longer to ask");

        let file = tempfile::tempfile().unwrap();
        let rewritten = of_age(file.try_clone().unwrap(), long_ago);
        file.set_modified(SystemTime::now()).unwrap();
        assert_eq!(rewritten.drift().unwrap(), Drift::Touched);
        assert!(!rewritten.was_looked_at(moment), "a look that saw a change is none");

        let unsettled = of_age(tempfile::tempfile().unwrap(), Duration::ZERO);
        unsettled.drift().unwrap();
        assert_eq!(unsettled.was_looked_at(moment), unsettled.settles_in().is_none());
        let growing = Asset::growing(tempfile::tempfile().unwrap(), 10, &Arc::default()).unwrap();
        growing.drift().unwrap();
        assert!(!growing.was_looked_at(moment));
    }

    #[test]
    fn who_waits_for_a_disk_keeps_nobody_from_a_look() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4).unwrap();
        let asset = Arc::new(Asset::new(file.try_clone().unwrap(), &Arc::default()).unwrap());
        file.set_len(5).unwrap();
        let drift = asset.look_again(|| {
            let (tell, told) = mpsc::channel();
            let other = asset.clone();
            thread::spawn(move || tell.send(other.drift().unwrap()));
            let looked = told.recv_timeout(Duration::from_secs(30));
            assert_eq!(looked.expect("a look that is not kept waiting"), Drift::Grew);
            Ok(Some(false))
        });
        assert_eq!(drift.unwrap(), Drift::Grew);
        assert_eq!(asset.drift().unwrap(), Drift::None);
    }

    #[test]
    fn what_was_just_written_settles_and_what_is_old_has() {
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        for (modified, settled) in [(now - day, true), (now, false), (now + day, false)] {
            let file = tempfile::tempfile().unwrap();
            file.set_modified(modified).unwrap();
            let mut asset = Asset::new(file, &Arc::default()).unwrap();
            assert_eq!(asset.settled_at.is_none(), settled, "{modified:?}");
            assert!(asset.settles_in().is_none_or(|left| left <= SETTLING));
            asset.settled_at = asset.settled_at.and(Some(Instant::now()));
            assert_eq!(asset.settles_in(), None);
        }
    }
}
