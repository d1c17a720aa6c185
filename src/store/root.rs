//! From a place below the root to the file that is there. Fails closed: the kernel keeps every
//! step of the way inside the root (`openat2(2)`), and where it can't, no symbolic link is followed.

use super::{
    asset::is_remote,
    identity::{Identity, WANTED, kind},
};
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
};

/// A value of this type is a relative path that names something below a root: its segments are
/// joined by `/`, none is empty, begins with a dot, or holds a NUL or a `/`. The empty one is the
/// root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place(OsString);

impl Place {
    /// The place that `segments` lead to; `None` if one of them is not a name that is served.
    pub fn new<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> Option<Place> {
        let mut path = Vec::new();
        for segment in segments {
            let hidden = segment.first().is_none_or(|first| *first == b'.');
            if hidden || segment.iter().any(|byte| matches!(byte, 0 | b'/')) {
                return None;
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(segment);
        }
        Some(Place(OsString::from_vec(path)))
    }

    /// Its segments, from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &OsStr> {
        self.0
            .as_bytes()
            .split(|byte| *byte == b'/')
            .filter(|s| !s.is_empty())
            .map(OsStr::from_bytes)
    }

    /// Bytes of its path.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &OsStr {
        self.segments().last().unwrap_or_default()
    }

    /// The folder that it lies in; the root lies in itself.
    pub fn parent(&self) -> Place {
        let path = self.0.as_bytes();
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Place(OsStr::from_bytes(&path[..end]).to_owned())
    }

    /// What is left of it below `folder`; `None` if it doesn't lie below it.
    pub fn below(&self, folder: &Place) -> Option<Place> {
        let rest = self.0.as_bytes().strip_prefix(folder.0.as_bytes())?;
        let rest = if folder.0.is_empty() { rest } else { rest.strip_prefix(b"/")? };
        (!rest.is_empty()).then(|| Place(OsStr::from_bytes(rest).to_owned()))
    }

    /// The place that `rest` leads to from here.
    pub fn join(&self, rest: &Place) -> Place {
        let both = self.segments().chain(rest.segments()).map(OsStr::as_bytes);
        Place::new(both).unwrap_or_default()
    }

    fn path(&self) -> &Path {
        Path::new(if self.0.is_empty() { OsStr::new(".") } else { &self.0 })
    }
}

impl std::fmt::Display for Place {
    /// As it is written in a log: control characters and what is no text are escaped.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}", self.0.as_bytes().escape_ascii())
    }
}

/// A value of this type is what was found at a place.
#[derive(Debug)]
pub enum Found<F> {
    File(F),
    Folder(OwnedFd),
}

/// A value of this type says which disks a look below a root may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disks {
    /// The root's own alone, one of this machine. Where that is not enough, the look fails with
    /// [`io::ErrorKind::CrossesDevices`] before it has asked another.
    Own,
    /// Any that the way leads to.
    All,
}

/// A value of this type is the folder that is served; nothing outside it can be reached through it.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    /// Whether the kernel has `openat2(2)` (Linux 5.6) and lets it be called.
    beneath: bool,
    /// Whether its own disk may wait for another machine or another process.
    remote: bool,
}

impl Root {
    /// Opens the folder at `path`, following links as the operator gave them.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let probe = rustix::fs::openat2(&folder, ".", flags, Mode::empty(), ResolveFlags::BENEATH);
        let remote = is_remote(folder.as_fd());
        Ok(Root { folder, beneath: probe.is_ok(), remote })
    }

    /// The folder at `place` as a root of its own, with the same bounds. Waits for these disks.
    pub fn below(&self, place: &Place, disks: Disks) -> io::Result<Root> {
        let folder = self.open_on(place, OFlags::PATH | OFlags::DIRECTORY, disks)?;
        let remote = is_remote(folder.as_fd());
        Ok(Root { folder, beneath: self.beneath, remote })
    }

    /// Whether `place` leads to `folder` now. A hint: links on the way are followed wherever they lead. A remote file
    /// system is not asked.
    ///
    /// Fails with `NotFound` where nothing is there.
    pub fn leads_to(&self, place: &Place, folder: &Root) -> io::Result<bool> {
        let how = AtFlags::STATX_DONT_SYNC;
        let there = rustix::fs::statx(&self.folder, place.path(), how, WANTED)?;
        let known = rustix::fs::statx(&folder.folder, c"", how | AtFlags::EMPTY_PATH, WANTED)?;
        let which = |stat: &Statx| (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino);
        Ok(which(&there) == which(&known))
    }

    /// Whether its own disk may wait for another machine or another process.
    pub fn is_remote(&self) -> bool {
        self.remote
    }

    /// The identity of what is at `place` now, if it is a regular file. A hint for the owner of an
    /// already opened file: links on the way are followed wherever they lead, so it proves nothing else. Only if it
    /// is known to be one is a link itself followed: one that is new may lead to a disk that doesn't answer.
    ///
    /// A remote file system is not asked: it answers what it last knew.
    pub(crate) fn identity(&self, place: &Place, is_link: bool) -> io::Result<Option<Identity>> {
        let follow = if is_link { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        let how = AtFlags::STATX_DONT_SYNC | follow;
        let stat = rustix::fs::statx(&self.folder, place.path(), how, WANTED)?;
        Ok((kind(&stat) == FileType::RegularFile).then(|| Identity::of(&stat)))
    }

    /// Opens what is at `place`. Waits for these disks. Anything that is neither a regular file nor a
    /// folder is [`io::ErrorKind::NotFound`], and is never opened, only looked at.
    pub(crate) fn find(&self, place: &Place, disks: Disks) -> io::Result<Found<File>> {
        match kind(&self.stat(place, disks)?) {
            FileType::RegularFile => {
                // Should a FIFO have taken the file's place since, NONBLOCK opens it without
                // waiting for a writer; the asset's own look at what was opened then refuses it.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
                Ok(Found::File(self.open_on(place, flags, disks)?.into()))
            }
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                Ok(Found::Folder(self.open_on(place, flags, disks)?))
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Whether there is a link at `place`.
    pub(crate) fn is_link(&self, place: &Place) -> io::Result<bool> {
        let how = AtFlags::STATX_DONT_SYNC | AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statx(&self.folder, place.path(), how, WANTED)?;
        Ok(kind(&stat) == FileType::Symlink)
    }

    /// Looks at what is at `place`, links inside the root followed, without opening it.
    pub(crate) fn stat(&self, place: &Place, disks: Disks) -> io::Result<Statx> {
        let found = self.open_on(place, OFlags::PATH, disks)?;
        let how = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        Ok(rustix::fs::statx(&found, c"", how, WANTED)?)
    }

    pub(crate) fn open_on(
        &self,
        place: &Place,
        flags: OFlags,
        disks: Disks,
    ) -> io::Result<OwnedFd> {
        let (folder, flags) = (self.folder.as_fd(), flags | OFlags::CLOEXEC);
        let opened = match disks {
            // Only `openat2` can be told to stop before another disk is asked.
            Disks::Own if self.remote || !self.beneath => Err(Errno::XDEV),
            Disks::Own => open_beneath(folder, place.path(), flags, ResolveFlags::NO_XDEV),
            Disks::All if self.beneath => {
                open_beneath(folder, place.path(), flags, ResolveFlags::empty())
            }
            Disks::All => open_without_links(folder, place, flags),
        };
        opened.map_err(|errno| match errno {
            Errno::XDEV if disks == Disks::Own => io::ErrorKind::CrossesDevices.into(),
            // A way out of the root, a loop, a file where a folder should be, a name too long for
            // the file system: for the outside there is nothing at this place.
            Errno::XDEV | Errno::LOOP | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => {
                io::ErrorKind::NotFound.into()
            }
            other => other.into(),
        })
    }
}

fn open_beneath(
    folder: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    further: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | further;
    // EAGAIN: something was renamed on the way, and the kernel could not be sure that it stayed
    // inside. A file that is renamed all the time is not there.
    for _ in 0..16 {
        match rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            outcome => return outcome,
        }
    }
    Err(Errno::NOENT)
}

fn open_without_links(
    folder: BorrowedFd<'_>,
    place: &Place,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut segments = place.segments().peekable();
    let mut at = rustix::fs::openat(folder, ".", step, Mode::empty())?;
    while let Some(segment) = segments.next() {
        let how = if segments.peek().is_some() { step } else { flags | OFlags::NOFOLLOW };
        at = rustix::fs::openat(&at, segment, how, Mode::empty())?;
    }
    if place.segments().next().is_none() {
        at = rustix::fs::openat(&at, ".", flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn place(path: &str) -> Option<Place> {
        Place::new(path.split('/').map(str::as_bytes))
    }

    #[test]
    fn a_place_knows_what_it_lies_in() {
        let film = place("a/b/c.ts").unwrap();
        assert_eq!(film.parent(), place("a/b").unwrap());
        assert_eq!(place("a").unwrap().parent(), Place::default());
        assert_eq!(Place::default().parent(), Place::default());
        for (folder, rest) in [("a", Some("b/c.ts")), ("a/b", Some("c.ts")), ("a/b/c.ts", None)] {
            let folder = place(folder).unwrap();
            assert_eq!(film.below(&folder), rest.and_then(place));
            assert!(rest.is_none_or(|rest| folder.join(&place(rest).unwrap()) == film));
        }
        assert_eq!(film.below(&Place::default()), Some(film.clone()));
        assert_eq!(place("ab/c").unwrap().below(&place("a").unwrap()), None);
    }

    #[test]
    fn a_place_is_made_of_visible_names() {
        for good in ["film.mp4", "a/b/c.ts", "a..b", "~x", "한글/🎬.mkv", "-rf"] {
            assert!(place(good).is_some(), "{good}");
        }
        for bad in ["", "..", ".", "a/../b", ".git/config", "a/.hidden", "a//b", "/etc", "a\0b"] {
            assert!(place(bad).is_none(), "{bad:?}");
        }
        assert!(Place::new([&b"a/b"[..]]).is_none());
        assert_eq!(Place::new([]).unwrap().path(), Path::new("."));
    }

    fn tree() -> (tempfile::TempDir, [Root; 2]) {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        fs::write(root.join("film.mp4"), "film").unwrap();
        fs::write(root.join("folder/deep.mp4"), "deep").unwrap();
        symlink("folder/deep.mp4", root.join("inside")).unwrap();
        symlink("../film.mp4", root.join("folder/up")).unwrap();
        symlink("folder", root.join("link")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("/etc/passwd", root.join("absolute")).unwrap();
        symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        rustix::fs::mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let kernel = Root::open(&root).unwrap();
        assert!(kernel.beneath, "openat2 is missing on this machine");
        let walk = Root { beneath: false, ..Root::open(&root).unwrap() };
        (outside, [kernel, walk])
    }

    #[test]
    fn files_inside_are_found_and_nothing_else() {
        let (_keep, roots) = tree();
        for root in &roots {
            for name in ["film.mp4", "folder/deep.mp4"] {
                let found = root.find(&place(name).unwrap(), Disks::All);
                assert!(matches!(found, Ok(Found::File(_))), "{name}: {found:?}");
            }
            assert!(matches!(
                root.find(&place("folder").unwrap(), Disks::All),
                Ok(Found::Folder(_))
            ));
            assert!(matches!(root.find(&Place::default(), Disks::All), Ok(Found::Folder(_))));
            let nothing =
                ["out", "absolute", "magic", "loop", "fifo", "socket", "none", "film.mp4/x"];
            for name in nothing {
                let error = root.find(&place(name).unwrap(), Disks::All).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}: {error:?}");
            }
        }
    }

    #[test]
    fn no_other_disk_is_asked_for_what_lies_on_the_own_one() {
        let (keep, [kernel, walk]) = tree();
        let find = |root: &Root, name| root.find(&place(name).unwrap(), Disks::Own);
        assert!(matches!(find(&kernel, "film.mp4"), Ok(Found::File(_))));
        assert!(matches!(find(&kernel, "link/deep.mp4"), Ok(Found::File(_))));
        assert_eq!(find(&kernel, "none").unwrap_err().kind(), io::ErrorKind::NotFound);
        let remote = Root { remote: true, ..Root::open(&keep.path().join("root")).unwrap() };
        for root in [&walk, &remote] {
            let error = find(root, "film.mp4").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
        }
        // Another is mounted below this one.
        let error = find(&Root::open(Path::new("/")).unwrap(), "proc/version").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
    }

    #[test]
    fn links_that_stay_inside_work_where_the_kernel_watches() {
        let (_keep, [kernel, walk]) = tree();
        for name in ["inside", "folder/up", "link/deep.mp4"] {
            let at = place(name).unwrap();
            assert!(matches!(kernel.find(&at, Disks::All), Ok(Found::File(_))), "{name}");
            assert!(
                walk.find(&at, Disks::All).is_err(),
                "{name} was followed without the kernel's guard"
            );
        }
    }
}
