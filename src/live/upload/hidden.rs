//! An upload as it lies on the disk, hidden beside its name: begun, taken up again, removed.

use super::Upload;
use crate::{
    live::{
        channel::{Channel, End},
        parts::{MOST_SPANS, Spans},
        record::{Head, Read, Record},
    },
    store::{Census, plot::Plot, root::Place},
};
use rustix::fs::FileType;
use std::{
    ffi::{OsStr, OsString},
    io,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

const BYTES: &str = ".reelmap";
pub(in crate::live) const RECORD: &str = ".reelmap-record";

/// The names under which an upload lies until it is whole.
pub(in crate::live) fn hidden(name: &OsStr) -> [OsString; 2] {
    [BYTES, RECORD].map(|end| {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(end);
        hidden
    })
}

/// Removes what was left of an upload to `name`, whether its record can be read or not; whether there was anything.
/// `WouldBlock` if another process is at it.
pub(in crate::live) fn remove_left(plot: &Plot, name: &OsStr) -> io::Result<bool> {
    let [bytes, record] = hidden(name);
    let (there, _lock) = match plot.kind(&record)? {
        None if plot.kind(&bytes)?.is_none() => return Ok(false),
        Some(FileType::RegularFile) => (true, lock(plot, &record)?),
        None => (false, new_record(plot, &record)?),
        Some(_) => (clear(plot, &record)?, new_record(plot, &record)?),
    };
    // A record without bytes is removed at the next start; bytes without one would stay for ever.
    let there = clear(plot, &bytes)? || there;
    clear(plot, &record)?;
    Ok(there)
}

/// A record that is there, locked: as long as it is held, both hidden names are the caller's. `WouldBlock` if another
/// process has it.
fn lock(plot: &Plot, name: &OsStr) -> io::Result<Record> {
    let record = match plot.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        file => Record::lock(file?)?,
    };
    still_named(plot, name, &record)?;
    Ok(record)
}

/// `WouldBlock` if another process removed the record before it was locked, and may have begun another.
fn still_named(plot: &Plot, name: &OsStr, record: &Record) -> io::Result<()> {
    match plot.names_file(name, record.file())? {
        true => Ok(()),
        false => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// The same of one that isn't there yet, and is made.
fn new_record(plot: &Plot, name: &OsStr) -> io::Result<Record> {
    let file = match plot.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        file => file?,
    };
    let record = Record::lock(file)?;
    still_named(plot, name, &record)?;
    Ok(record)
}

/// Removes the file of a hidden name, where there is one; whether there was. A folder that somebody made there would be
/// in the way of all uploads to come: it is given another name.
pub(in crate::live) fn clear(plot: &Plot, name: &OsStr) -> io::Result<bool> {
    if plot.kind(name)? != Some(FileType::Directory) {
        return plot.remove(name);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let aside = format!(".reelmap-aside-{}", now.as_nanos());
    plot.rename_new(name, OsStr::new(&aside))?;
    let name = name.as_encoded_bytes().escape_ascii();
    tracing::warn!("{name} was a folder, in the way of an upload: it is {aside} now");
    Ok(false)
}

/// When the last byte of an upload to `name` came; `None` where there are none.
pub(in crate::live) fn newest(plot: &Plot, name: &OsStr) -> io::Result<Option<SystemTime>> {
    let [bytes, _] = hidden(name);
    match plot.kind(&bytes)? {
        Some(FileType::RegularFile) => Ok(Some(plot.open(&bytes)?.metadata()?.modified()?)),
        _ => Ok(None),
    }
}

impl Upload {
    /// Begins an upload to `place`, whose folder is `plot`. `WouldBlock` if another process is at it.
    pub(in crate::live) fn begin(
        place: &Place,
        plot: Plot,
        census: &Arc<Census>,
    ) -> io::Result<Upload> {
        let [bytes, record] = hidden(place.name());
        remove_left(&plot, place.name())?;
        let begun = SystemTime::now();
        let locked = new_record(&plot, &record)?;
        let make = || {
            // A process that was at it just now has given it its name.
            let replaces = plot.kind(place.name())?.is_some();
            let head = Head { total: None, begun, replaces };
            locked.write_head(&head)?;
            io::Result::Ok((head, Channel::new(plot.create(&bytes)?, 0, census)?))
        };
        let made = make();
        if made.is_err() {
            clear(&plot, &bytes)?;
            clear(&plot, &record)?;
        }
        let (head, channel) = made?;
        let read = Read { head, parts: Vec::new() };
        Ok(Upload::new(place, plot, channel, (locked, &read), Spans::default()))
    }

    /// Takes up an upload that another process began: what its record says is there, and no more. `None`
    /// if there is nothing of it, `WouldBlock` if another process is at it.
    pub(in crate::live) fn resume(
        place: &Place,
        plot: Plot,
        census: &Arc<Census>,
    ) -> io::Result<Option<Upload>> {
        let [bytes, record] = hidden(place.name());
        let file = plot.open(&record)?;
        // Killed in the moment in which it was begun.
        if file.metadata()?.len() == 0 && plot.kind(&bytes)?.is_none() {
            return Ok(None);
        }
        let locked = Record::lock(file)?;
        let read = locked.read()?;
        still_named(&plot, &record, &locked)?;
        let file = match plot.open(&bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut held = Spans::default();
        for part in &read.parts {
            held.insert(part.clone());
            if held.count() > MOST_SPANS {
                return Err(nonsense("its record has too many parts".into()));
            }
        }
        if held.count() == 0 {
            return Ok(None);
        }
        let (length, noted) = (file.metadata()?.len(), held.end());
        if length < noted {
            return Err(nonsense(format!("{length} bytes are there of {noted} that were noted")));
        }
        // Its time is that of the last byte that came: it isn't touched for nothing.
        if length > noted {
            file.set_len(noted)?;
        }
        file.sync_data()?;
        locked.go_on(&read)?;
        let channel = Channel::new(file, held.prefix(), census)?;
        channel.end(Some(End::Cut));
        let taken = !read.head.replaces && plot.kind(place.name())?.is_some();
        let mut upload = Upload::new(place, plot, channel, (locked, &read), held);
        *upload.taken.get_mut() = taken;
        Ok(Some(upload))
    }

    /// Lets go of the file, and waits until that is done, if nobody else has it.
    pub(in crate::live) fn close(self: Arc<Upload>) {
        let channel = Arc::into_inner(self).and_then(|upload| Arc::into_inner(upload.channel));
        if let Some(channel) = channel {
            channel.close();
        }
    }

    /// Gives up what is there, and removes it.
    pub(in crate::live) fn discard(&self) -> io::Result<()> {
        self.channel.end(Some(End::Cut));
        let [bytes, record] = hidden(self.place.name());
        clear(&self.plot, &bytes)?;
        clear(&self.plot, &record)?;
        Ok(())
    }
}

fn nonsense(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use crate::{
        live::{Asked, Stored, Streams},
        store::{Disks, is_held, root::Place},
    };
    use inotify::{Inotify, WatchMask};
    use std::{fs, sync::Barrier, thread};

    #[test]
    fn no_bytes_are_ever_left_without_their_record() {
        let folder = tempfile::tempdir().unwrap();
        let streams = Streams::below(folder.path());
        let mut looks = Inotify::init().unwrap();
        looks.watches().add(folder.path(), WatchMask::DELETE).unwrap();
        let path = |name| folder.path().join(name);
        for again in [false, true] {
            fs::write(path(".film.reelmap"), "film").unwrap();
            fs::write(path(".film.reelmap-record"), "").unwrap();
            let place = Place::new([&b"film"[..]]).unwrap();
            if again {
                drop(streams.write(&place, &Asked::Whole(None), Disks::Own, || Ok(true)).unwrap());
            } else {
                assert!(streams.delete(&place, Disks::Own, || Ok(true)).unwrap());
            }
            let mut buffer = [0; 4096];
            let gone = looks.read_events(&mut buffer).unwrap();
            let gone: Vec<_> = gone.filter_map(|event| event.name).collect();
            assert_eq!(gone, [".film.reelmap", ".film.reelmap-record"]);
        }
    }

    #[test]
    fn of_two_servers_that_begin_at_once_one_has_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new([&b"film"[..]]).unwrap();
        let servers = [(); 2].map(|()| Streams::below(folder.path()));
        let start = Barrier::new(2);
        for _ in 0..500 {
            let begin = |streams: &Streams| {
                start.wait();
                streams.write(&place, &Asked::Whole(None), Disks::Own, || Ok(true))
            };
            let begun = thread::scope(|scope| {
                let begun = [&servers[0], &servers[1]].map(|one| scope.spawn(move || begin(one)));
                begun.map(|begun| begun.join().unwrap())
            });
            let [own, mut other] =
                begun.map(|begun| begun.map_err(|refused| format!("{refused:?}")));
            let (winner, mut writer) = match own {
                Ok(writer) => (&servers[0], writer),
                Err(error) => {
                    let writer = other.expect("none has it");
                    other = Err(error);
                    (&servers[1], writer)
                }
            };
            assert_eq!(other.err().as_deref(), Some("Busy"));
            writer.write(&mut ["film".into()]).unwrap();
            assert_eq!(winner.leave(writer, true).unwrap(), Stored::Created);
            assert_eq!(fs::read(folder.path().join("film")).unwrap(), b"film");
            fs::remove_file(folder.path().join("film")).unwrap();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_is_given_up_is_let_go_of_when_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new([&b"film"[..]]).unwrap();
        let streams = Streams::below(folder.path());
        let path = folder.path().join(".film.reelmap");
        for _ in 0..50 {
            let part = Asked::Part(0..4, Some(10));
            let mut writer = streams.write(&place, &part, Disks::Own, || Ok(true)).unwrap();
            writer.write(&mut ["film".into()]).unwrap();
            streams.leave(writer, true).unwrap();
            assert!(is_held(&path));
            assert!(streams.delete(&place, Disks::Own, || Ok(true)).unwrap());
            assert!(!is_held(&path));
        }
    }
}
