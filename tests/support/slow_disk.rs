//! A disk that takes its time: a FUSE file system of a few files, which answers each question after
//! a delay, all at once and none in a queue, or not before it is let. Needs /dev/fuse and root.
#![allow(dead_code)] // Each test uses a part.

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, Session, TimeOrNow, WriteFlags,
};
use rustix::mount::{UnmountFlags, unmount};
use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

/// How long a test waits for the questions that it expects: far more than any takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the kernel asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// By name (`lookup`), by file (`getattr`), or of the whole file system (`statfs`).
    Look,
    Open,
    Read,
    /// `flush`, of which `close(2)` waits.
    Close,
    Write,
}

const QUESTIONS: usize = 5;

/// A value of this type says how slow a disk is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub look: Duration,
    pub open: Duration,
    pub read: Duration,
    pub close: Duration,
    /// How long the kernel believes what it was told of names, sizes and times.
    pub believed: Duration,
}

impl Pace {
    /// 50 ms a read; nothing else waits, no attribute is believed.
    pub const SLOW_READS: Pace = Pace {
        look: Duration::ZERO,
        open: Duration::ZERO,
        read: Duration::from_millis(50),
        close: Duration::ZERO,
        believed: Duration::ZERO,
    };

    fn of(&self, question: Question) -> Duration {
        match question {
            Question::Look => self.look,
            Question::Open => self.open,
            Question::Read => self.read,
            Question::Close => self.close,
            Question::Write => Duration::ZERO,
        }
    }
}

/// A value of this type is a mounted disk; dropped, it is unmounted, whoever still uses it.
pub struct SlowDisk {
    at: PathBuf,
    disk: Arc<Disk>,
    session: Option<BackgroundSession>,
}

impl SlowDisk {
    /// Mounts `files` at the folder `at`, which is made if it isn't there.
    pub fn mount(at: impl AsRef<Path>, pace: Pace, files: &[(&str, Arc<Vec<u8>>)]) -> SlowDisk {
        SlowDisk::with(at, pace, files, MountOption::RO)
    }

    /// The same without files, which the kernel takes for one that may be written to.
    pub fn writable(at: impl AsRef<Path>, pace: Pace) -> SlowDisk {
        SlowDisk::with(at, pace, &[], MountOption::RW)
    }

    fn with(
        at: impl AsRef<Path>,
        pace: Pace,
        files: &[(&str, Arc<Vec<u8>>)],
        how: MountOption,
    ) -> SlowDisk {
        let at = at.as_ref().to_owned();
        std::fs::create_dir_all(&at).unwrap();
        let file = |(name, bytes): &(&str, Arc<Vec<u8>>)| {
            Arc::new(File::new(name.as_ref(), bytes.clone()))
        };
        let files = files.iter().map(file).collect();
        let disk = Arc::new(Disk { pace, files: Mutex::new(files), gates: Default::default() });
        let mut config = Config::default();
        config.mount_options = vec![how, MountOption::FSName("slow".into())];
        let session = Session::new(Door(disk.clone()), &at, &config)
            .expect("a FUSE file system could not be mounted: this needs /dev/fuse and root");
        SlowDisk { at, disk, session: Some(session.spawn().unwrap()) }
    }

    /// Another machine writes a whole new content to a file; nobody is told.
    pub fn rewrite(&self, name: &str, bytes: impl Into<Arc<Vec<u8>>>) {
        let (_, file) = self.disk.named(name.as_ref()).unwrap();
        let mut state = file.state.lock().unwrap();
        let later = state.modified + Duration::from_nanos(1);
        *state = State { bytes: bytes.into(), modified: SystemTime::now().max(later) };
    }

    /// From now on such questions are not answered, until the value returned is dropped.
    pub fn hold(&self, question: Question) -> Hold {
        let disk = self.disk.clone();
        disk.gates[question as usize].lock().closed = true;
        Hold { disk, question }
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        for gate in &self.disk.gates {
            gate.open();
        }
        // By force, so that whoever still waits for an answer gets an error; and from the tree at
        // once, although files of it may be open.
        if let Err(error) = unmount(&self.at, UnmountFlags::FORCE | UnmountFlags::DETACH) {
            eprintln!("{} stays mounted: {error}", self.at.display());
        } else if let Some(session) = self.session.take() {
            let _ = session.join();
        }
    }
}

/// A value of this type keeps a disk from answering one kind of question.
pub struct Hold {
    disk: Arc<Disk>,
    question: Question,
}

impl Hold {
    /// Waits until `number` questions of the kind wait.
    pub fn await_waiting(&self, number: usize) {
        let gate = &self.disk.gates[self.question as usize];
        let few = |state: &mut GateState| state.waiting < number;
        let waited = gate.changed.wait_timeout_while(gate.lock(), PATIENCE, few);
        let waiting = waited.unwrap_or_else(PoisonError::into_inner).0.waiting;
        assert!(waiting >= number, "only {waiting} questions came, not {number}");
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.disk.gates[self.question as usize].open();
    }
}

struct Disk {
    pace: Pace,
    files: Mutex<Vec<Arc<File>>>,
    gates: [Gate; QUESTIONS],
}

struct File {
    /// Empty of one that was removed.
    name: Mutex<OsString>,
    state: Mutex<State>,
}

impl File {
    fn new(name: &OsStr, bytes: Arc<Vec<u8>>) -> File {
        let state = Mutex::new(State { bytes, modified: SystemTime::now() });
        File { name: Mutex::new(name.to_owned()), state }
    }

    fn rename(&self, to: &OsStr) {
        *self.name.lock().unwrap() = to.to_owned();
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock().unwrap();
        change(Arc::make_mut(&mut state.bytes));
        state.modified = SystemTime::now();
    }
}

struct State {
    bytes: Arc<Vec<u8>>,
    modified: SystemTime,
}

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    waiting: usize,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) {
        self.lock().closed = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.lock();
        state.waiting += 1;
        self.changed.notify_all();
        let passed = self.changed.wait_while(state, |state| state.closed);
        passed.unwrap_or_else(PoisonError::into_inner).waiting -= 1;
    }
}

impl Disk {
    /// Answers `question` in a thread of its own, after its delay.
    fn answer(self: &Arc<Disk>, question: Question, reply: impl FnOnce(&Disk) + Send + 'static) {
        let disk = self.clone();
        thread::spawn(move || {
            disk.gates[question as usize].pass();
            thread::sleep(disk.pace.of(question));
            reply(&disk);
        });
    }

    fn file(&self, inode: INodeNo) -> Option<Arc<File>> {
        let files = self.files.lock().unwrap();
        files.get(usize::try_from(inode.0.checked_sub(2)?).ok()?).cloned()
    }

    fn named(&self, name: &OsStr) -> Option<(INodeNo, Arc<File>)> {
        let files = self.files.lock().unwrap();
        let at = files.iter().position(|file| *file.name.lock().unwrap() == *name)?;
        Some((INodeNo(at as u64 + 2), files[at].clone()))
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let folder = inode == INodeNo::ROOT;
        let (size, modified) = match self.file(inode) {
            Some(file) => {
                let state = file.state.lock().unwrap();
                (state.bytes.len() as u64, state.modified)
            }
            None if folder => (0, SystemTime::UNIX_EPOCH),
            None => return None,
        };
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: modified,
            mtime: modified,
            ctime: modified,
            crtime: modified,
            kind: if folder { FileType::Directory } else { FileType::RegularFile },
            perm: if folder { 0o755 } else { 0o644 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

/// A value of this type is what the kernel talks to.
struct Door(Arc<Disk>);

impl Filesystem for Door {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // As libfuse has it: a file whose time has changed loses its cached pages, and names are
        // looked up side by side. An old kernel that has neither is none that matters.
        for wanted in [InitFlags::FUSE_AUTO_INVAL_DATA, InitFlags::FUSE_PARALLEL_DIROPS] {
            let _ = config.add_capabilities(wanted);
        }
        // Reads ahead of 16 streams don't wait for one another.
        let _ = config.set_max_background(512);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.0.answer(Question::Look, move |disk| {
            let inode = disk.named(&name).filter(|_| parent == INodeNo::ROOT);
            match inode.and_then(|(inode, _)| disk.attributes(inode)) {
                Some(found) => reply.entry(&disk.pace.believed, &found, Generation(0)),
                None => reply.error(Errno::ENOENT),
            }
        });
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.0.answer(Question::Look, move |disk| match disk.attributes(inode) {
            Some(attributes) => reply.attr(&disk.pace.believed, &attributes),
            None => reply.error(Errno::ENOENT),
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.0.answer(Question::Look, move |_| reply.statfs(0, 0, 0, 0, 0, 4096, 255, 0));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.0.answer(Question::Open, move |_| {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
        });
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.0.answer(Question::Read, move |disk| match disk.file(inode) {
            Some(file) => {
                let bytes = file.state.lock().unwrap().bytes.clone();
                let start = bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
                let end = bytes.len().min(start.saturating_add(size as usize));
                reply.data(&bytes[start..end]);
            }
            None => reply.error(Errno::ENOENT),
        });
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let name = name.to_owned();
        self.0.answer(Question::Open, move |disk| {
            let file = Arc::new(File::new(&name, Arc::default()));
            disk.files.lock().unwrap().push(file);
            let made = disk.named(&name).and_then(|(inode, _)| disk.attributes(inode)).unwrap();
            let (handle, how) = (FileHandle(0), FopenFlags::empty());
            reply.created(&disk.pace.believed, &made, Generation(0), handle, how);
        });
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_owned();
        self.0.answer(Question::Write, move |disk| {
            let (start, end) = (offset as usize, offset as usize + data.len());
            disk.file(inode).unwrap().change(|bytes| {
                bytes.resize(bytes.len().max(end), 0);
                bytes[start..end].copy_from_slice(&data);
            });
            reply.written(data.len() as u32);
        });
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.0.answer(Question::Write, move |disk| {
            if let (Some(size), Some(file)) = (size, disk.file(inode)) {
                file.change(|bytes| bytes.resize(size as usize, 0));
            }
            reply.attr(&disk.pace.believed, &disk.attributes(inode).unwrap());
        });
    }

    fn unlink(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.0.answer(Question::Write, move |disk| match disk.named(&name) {
            Some((_, file)) => {
                file.rename(OsStr::new(""));
                reply.ok();
            }
            None => reply.error(Errno::ENOENT),
        });
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: INodeNo,
        new: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new) = (name.to_owned(), new.to_owned());
        self.0.answer(Question::Write, move |disk| {
            if let Some((_, replaced)) = disk.named(&new) {
                replaced.rename(OsStr::new(""));
            }
            disk.named(&name).unwrap().1.rename(&new);
            reply.ok();
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.0.answer(Question::Close, move |_| reply.ok());
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let files = self.0.files.lock().unwrap();
        let names = files.iter().map(|file| file.name.lock().unwrap().clone());
        let files = names.filter(|name| !name.is_empty()).map(|name| (FileType::RegularFile, name));
        let above = [".", ".."].map(|name| (FileType::Directory, name.into()));
        for (at, (kind, name)) in above.into_iter().chain(files).enumerate().skip(offset as usize) {
            let inode = INodeNo((at as u64).max(1));
            if reply.add(inode, at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
