//! A folder below a root in which files are made, renamed and removed by name. Like `root`, it never
//! leaves the root: the way to the folder is the kernel's affair, and what is done there takes one name
//! and follows no link.

use super::{
    identity::{WANTED, kind},
    root::{Disks, Place, Root},
};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
};
use std::{ffi::OsStr, fs::File, io, os::fd::OwnedFd};

/// The longest way to a folder, in bytes: the kernel takes 4,095, and names follow.
const LONGEST: usize = 3072;

/// The most folders that are made on the way to one: each is on the disk before the next is made.
const MOST_MADE: u32 = 64;

/// A value of this type is an open folder that may be written to.
#[derive(Debug)]
pub struct Plot(OwnedFd);

impl Root {
    /// The folder at `place` on these disks; where it is missing and `make` says so, it is made, and those above it.
    ///
    /// Fails with `NotADirectory` where a file is in the way, with `PermissionDenied` where the way
    /// leads out of the root, with `NotFound` where it is missing, with ENAMETOOLONG where more than 64 would have
    /// to be made, too, with `CrossesDevices` where it lies on others. Waits for these disks.
    pub fn plot(&self, place: &Place, make: bool, disks: Disks) -> io::Result<Plot> {
        self.plot_within(place, make, disks, MOST_MADE)
    }

    /// The same, with so many of them that may be made.
    fn plot_within(&self, place: &Place, make: bool, disks: Disks, most: u32) -> io::Result<Plot> {
        if place.length() > LONGEST {
            return Err(Errno::NAMETOOLONG.into());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.open_on(place, flags, disks) {
            Ok(folder) => return Ok(Plot(folder)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(error) if place.segments().next().is_none() => return Err(error),
            Err(_) => {}
        }
        let most = if make { most.checked_sub(1).ok_or(Errno::NAMETOOLONG)? } else { most };
        let above = self.plot_within(&place.parent(), make, disks, most)?;
        match above.kind(place.name())? {
            None if make => match rustix::fs::mkdirat(&above.0, place.name(), Mode::from(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {
                    // What is made in it is only there after a loss of power if it is.
                    above.sync()?;
                    Ok(Plot(self.open_on(place, flags, disks)?))
                }
                Err(errno) => Err(errno.into()),
            },
            None => Err(io::ErrorKind::NotFound.into()),
            Some(FileType::Symlink | FileType::Directory) => {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

impl Plot {
    /// What the name stands for, links not followed; `None` if there is nothing. What is mounted there isn't asked.
    pub fn kind(&self, name: &OsStr) -> io::Result<Option<FileType>> {
        let how = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
        match rustix::fs::statx(&self.0, name, how, WANTED) {
            Ok(stat) => Ok(Some(kind(&stat))),
            // A name that is too long for the file system stands for nothing.
            Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether it is the same folder, whatever way led to each.
    pub fn is(&self, other: &Plot) -> io::Result<bool> {
        Ok(same(&rustix::fs::fstat(&self.0)?, &rustix::fs::fstat(&other.0)?))
    }

    /// Whether the name stands for that open file.
    pub fn names_file(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        let named = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            named => named?,
        };
        Ok(same(&named, &rustix::fs::fstat(file)?))
    }

    /// A new file to write and read; fails where there is something of that name.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        self.open_with(name, OFlags::CREATE | OFlags::EXCL)
    }

    /// A file that is there, to write and read.
    pub fn open(&self, name: &OsStr) -> io::Result<File> {
        self.open_with(name, OFlags::empty())
    }

    fn open_with(&self, name: &OsStr, how: OFlags) -> io::Result<File> {
        let flags = how | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::from(0o666))?.into())
    }

    /// Gives a file another name; what had that name is replaced at once.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// The same where nothing may have that name: else `AlreadyExists`, and nothing is changed.
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            // Neither every file system nor every kernel can: what is made between these two is replaced.
            Err(Errno::INVAL | Errno::NOSYS) if self.kind(to)?.is_none() => self.rename(from, to),
            Err(Errno::INVAL | Errno::NOSYS) => Err(Errno::EXIST.into()),
            renamed => Ok(renamed?),
        }
    }

    /// Removes a file; whether there was one.
    pub fn remove(&self, name: &OsStr) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until names that were made, changed or removed would outlast a loss of power.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// The names of the folder, in no order; those that begin with a dot too.
    pub fn names(&self) -> io::Result<Vec<std::ffi::OsString>> {
        use std::os::unix::ffi::OsStrExt;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn place(path: &str) -> Place {
        Place::new(path.split('/').map(str::as_bytes)).unwrap()
    }

    #[test]
    fn folders_are_made_as_deep_as_asked_and_never_outside() {
        let outside = tempfile::tempdir().unwrap();
        let top = outside.path().join("root");
        fs::create_dir_all(top.join("there")).unwrap();
        fs::write(top.join("file"), "film").unwrap();
        symlink("..", top.join("up")).unwrap();
        symlink("there", top.join("inside")).unwrap();
        let root = Root::open(&top).unwrap();
        root.plot(&place("there/a/b"), true, Disks::Own)
            .unwrap()
            .create(OsStr::new("film"))
            .unwrap();
        assert!(top.join("there/a/b/film").is_file());
        let by_link = root.plot(&place("inside/c"), true, Disks::All).unwrap();
        assert!(by_link.is(&root.plot(&place("there/c"), false, Disks::Own).unwrap()).unwrap());
        assert!(!by_link.is(&root.plot(&place("there"), false, Disks::Own).unwrap()).unwrap());
        assert!(top.join("there/c").is_dir());
        let refused = |path| root.plot(&place(path), true, Disks::All).unwrap_err().kind();
        assert_eq!(refused("file/a"), io::ErrorKind::NotADirectory);
        assert_eq!(refused("up"), io::ErrorKind::PermissionDenied);
        assert_eq!(refused("up/new"), io::ErrorKind::PermissionDenied);
        assert!(!outside.path().join("new").exists());
        let missing = root.plot(&place("none/a"), false, Disks::All).unwrap_err().kind();
        assert_eq!(missing, io::ErrorKind::NotFound);
        assert!(!top.join("none").exists());
    }

    #[test]
    fn what_has_a_name_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["film", "new"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let plot =
            Root::open(folder.path()).unwrap().plot(&Place::default(), false, Disks::All).unwrap();
        let [film, new, free] = ["film", "new", "free"].map(OsStr::new);
        let taken = plot.rename_new(new, film).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(folder.path().join("film")).unwrap(), b"film");
        plot.rename_new(new, free).unwrap();
        plot.rename(free, film).unwrap();
        assert_eq!(fs::read(folder.path().join("film")).unwrap(), b"new");
    }

    #[test]
    fn no_link_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("film"), "film").unwrap();
        symlink("film", folder.path().join("link")).unwrap();
        let plot =
            Root::open(folder.path()).unwrap().plot(&Place::default(), false, Disks::All).unwrap();
        assert!(plot.create(OsStr::new("link")).is_err());
        assert!(plot.open(OsStr::new("link")).is_err());
        assert!(plot.remove(OsStr::new("link")).unwrap());
        assert!(!plot.remove(OsStr::new("link")).unwrap());
        assert!(folder.path().join("film").is_file());
    }
}
