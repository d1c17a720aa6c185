//! The power is lost while a stream is being received: on a file system of its own, which forgets what was
//! not synced, as a disk does. Needs root, a loop device, mkfs.ext4 and python3.

mod support;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use support::{
    command::{Program, until},
    live::{Encoder, Reader},
    noise,
    programs::output,
};

/// What `fcntl.ioctl` asks of ext4: to take nothing more, and to lose what its journal has not
/// (`EXT4_IOC_SHUTDOWN`, `EXT4_GOING_FLAGS_NOLOGFLUSH`).
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], 0), 0x8004587d, struct.pack('I', 2))";

/// A file system in a file, mounted; unmounted when it is dropped.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    fn new(folder: &Path) -> Disk {
        let disk = Disk { image: folder.join("image"), at: folder.join("disk") };
        File::create(&disk.image).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir(&disk.at).unwrap();
        output("mkfs.ext4", ["-q".as_ref(), disk.image.as_os_str()]);
        disk.mount();
        disk
    }

    fn mount(&self) {
        // Its own habit to write what is old enough would do the server's work.
        let options = ["-o", "loop,commit=300"].map(AsRef::as_ref);
        output("mount", options.into_iter().chain([self.image.as_os_str(), self.at.as_os_str()]));
    }

    fn lose_power(&self) {
        output("python3", ["-c".as_ref(), CUT.as_ref(), self.at.as_os_str()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::DETACH);
    }
}

/// What the record says of the first part: how far it was written, how far synced.
fn noted(record: &Path) -> (u64, u64) {
    let mut bytes = [0; 16];
    let read = File::open(record).and_then(|file| file.read_exact_at(&mut bytes, 72));
    read.map_or((0, 0), |()| {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        (number(0), number(8))
    })
}

#[test]
#[ignore = "needs root, to mount a file system that loses its power"]
fn what_was_synced_is_there_and_no_more_than_that_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path());
    let flags = ["--ingest", "."];
    let program = Program::quiet(&disk.at, &flags);
    let film = noise(1, 3_000_000);
    let mut encoder = Encoder(program.connect());
    encoder.0.request("PUT /new/folder/cam.ts HTTP/1.1\nTransfer-Encoding: chunked");
    encoder.send(&film[..1_000_000]);
    let record = disk.at.join("new/folder/.cam.ts.reelmap-record");
    until("the first part of it is synced", || noted(&record).1 == 1_000_000);
    let mut reader = Reader::with(program.connect(), "GET /new/folder/cam.ts HTTP/1.1");
    encoder.send(&film[1_000_000..]);
    assert!(reader.take(film.len()) == film);
    let (written, synced) = noted(&record);
    assert_eq!(written, film.len() as u64);
    disk.lose_power();
    program.signal(rustix::process::Signal::KILL);
    program.ended();
    rustix::mount::unmount(&disk.at, rustix::mount::UnmountFlags::empty()).unwrap();
    disk.mount();
    // Power comes back with another boot.
    let record = File::options().write(true).open(record).unwrap();
    record.write_all_at(&[7; 16], 24).unwrap();
    drop(record);
    let program = Program::quiet(&disk.at, &flags);
    let stored = fs::read(disk.at.join("new/folder/cam.ts")).unwrap();
    assert!(film.starts_with(&stored), "{} bytes that are not what was sent", stored.len());
    assert!(stored.len() as u64 >= synced, "{} of {synced} bytes", stored.len());
    drop(program);
}
