//! The names in a folder that are served: regular files and folders, links that stay inside.

use super::{
    Root,
    identity::{Identity, WANTED, kind},
    root::{Disks, Place},
};
use rustix::fs::{AtFlags, Dir, FileType};
use std::{ffi::OsString, io, os::fd::OwnedFd, os::unix::ffi::OsStringExt, time::SystemTime};

/// A value of this type is one name in a folder.
#[derive(Clone, Debug)]
pub struct Name {
    pub name: OsString,
    /// Length in bytes; `None` for a folder.
    pub length: Option<u64>,
    pub modified: SystemTime,
}

impl Root {
    /// The names in `folder`, which was found at `place`, unsorted, at most `most` of them, and
    /// whether there are more. Waits for these disks: what is mounted in a folder of the
    /// own one is not asked.
    pub fn names(
        &self,
        place: &Place,
        folder: &OwnedFd,
        most: usize,
        disks: Disks,
    ) -> io::Result<(Vec<Name>, bool)> {
        let mut names = Vec::new();
        let how = match disks {
            Disks::Own => AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC,
            Disks::All => AtFlags::SYMLINK_NOFOLLOW,
        };
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            let segments = place.segments().map(|s| s.as_encoded_bytes()).chain([bytes]);
            let Some(inside) = Place::new(segments) else { continue };
            let stat = match rustix::fs::statx(folder, entry.file_name(), how, WANTED) {
                Ok(stat) if kind(&stat) == FileType::Symlink => match self.stat(&inside, disks) {
                    Ok(target) => target,
                    Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                        return Err(error);
                    }
                    Err(_) => continue,
                },
                Ok(stat) => stat,
                Err(_) => continue,
            };
            let identity = Identity::of(&stat);
            let length = match kind(&stat) {
                FileType::RegularFile => Some(identity.size),
                FileType::Directory => None,
                _ => continue,
            };
            if names.len() == most {
                return Ok((names, true));
            }
            let name = OsString::from_vec(bytes.to_vec());
            names.push(Name { name, length, modified: identity.modified() });
        }
        Ok((names, false))
    }
}
