//! A file that grows, as its readers see it: how far it reaches, whether it has ended, and the bytes,
//! mapped. Writes nothing, and knows neither who writes nor how.

use super::tail::Tail;
use crate::store::{Asset, Census, Identity, Unhurried};
use std::{
    fs::File,
    io,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};
use tokio::sync::watch;

/// Bytes mapped at first, whether they are there yet or not; address space costs nothing.
const ROOM: u64 = 1 << 30;

/// How a file stopped growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it is there.
    Whole,
    /// What is there isn't all: readers must not take it for the whole.
    Cut,
}

/// A value of this type says how far a file reaches.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Bytes from its start that are there to be read, without a gap.
    pub length: u64,
    /// `None` while more may come.
    pub end: Option<End>,
}

/// A value of this type is a file that grows, and all who read it.
#[derive(Debug)]
pub struct Channel {
    file: Unhurried<File>,
    identity: Identity,
    /// What is lent. Another takes its place when the file outgrows its room; those who were lent of the
    /// old one keep it.
    asset: RwLock<Arc<Asset>>,
    census: Arc<Census>,
    state: watch::Sender<State>,
    /// How far each reader has come.
    readers: Mutex<Vec<Weak<AtomicU64>>>,
}

impl Channel {
    /// A channel of `file`, of which `length` bytes are there. Waits for the disk.
    pub fn new(file: File, length: u64, census: &Arc<Census>) -> io::Result<Channel> {
        let asset = mapped(&file, length, census)?;
        let identity = asset.identity().growing_since(SystemTime::now());
        let (state, _) = watch::channel(State { length, end: None });
        Ok(Channel {
            file: Unhurried::file(file, ROOM),
            identity,
            asset: RwLock::new(Arc::new(asset)),
            census: census.clone(),
            state,
            readers: Mutex::default(),
        })
    }

    /// Lets go of the file, and waits until that is done, if nobody reads it.
    pub(super) fn close(mut self) {
        self.file.hurry();
        let asset = self.asset.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(asset) = Arc::into_inner(asset) {
            asset.close();
        }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// What tells it from other files, and from all states of this one: the same while it grows.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Hears of what happens to the file.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The mapped file, as far as it reaches now.
    pub fn asset(&self) -> Arc<Asset> {
        self.asset.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that the file reaches to `length`, and tells the readers.
    pub fn reach(&self, length: u64) -> io::Result<()> {
        if length > self.asset().room() {
            self.widen(mapped(&self.file, length, &self.census)?);
        }
        self.asset().promise(length);
        self.state.send_if_modified(|state| {
            // Writers of several parts may come here in any order.
            let more = length > state.length;
            state.length = state.length.max(length);
            more
        });
        Ok(())
    }

    /// Lends of `wider` from now on, unless another writer's mapping is as wide.
    fn widen(&self, wider: Asset) {
        let mut asset = self.asset.write().unwrap_or_else(PoisonError::into_inner);
        if wider.room() > asset.room() {
            *asset = Arc::new(wider);
        }
    }

    /// Says that the file has ended, or, with `None`, that it goes on.
    pub fn end(&self, end: Option<End>) {
        self.state.send_modify(|state| state.end = end);
    }

    /// Follows the file from `span.start` on, to its end or to that of `span`.
    pub fn tail(self: &Arc<Channel>, span: Range<u64>) -> Tail {
        let position = Arc::new(AtomicU64::new(span.start));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() == readers.capacity() {
            readers.retain(|reader| reader.strong_count() > 0);
        }
        readers.push(Arc::downgrade(&position));
        Tail::new(self.clone(), span, position)
    }

    /// How far behind what is there each reader is, in bytes, the nearest first.
    pub fn distances(&self) -> Vec<u64> {
        let length = self.state().length;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| reader.strong_count() > 0);
        let positions = readers.iter().filter_map(Weak::upgrade);
        let mut distances: Vec<u64> =
            positions.map(|position| length.saturating_sub(position.load(Relaxed))).collect();
        distances.sort_unstable();
        distances
    }
}

/// `file` mapped with room for several times `length`.
fn mapped(file: &File, length: u64, census: &Arc<Census>) -> io::Result<Asset> {
    let room = length.saturating_mul(4).max(ROOM);
    let asset = Asset::growing(file.try_clone()?, room, census)?;
    asset.promise(length);
    Ok(asset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Drift;
    use std::{
        os::unix::fs::FileExt,
        sync::atomic::{AtomicBool, Ordering::SeqCst},
        thread,
    };

    fn channel() -> Arc<Channel> {
        Arc::new(Channel::new(tempfile::tempfile().unwrap(), 0, &Arc::default()).unwrap())
    }

    #[test]
    fn growth_is_never_taken_for_harm() {
        let channel = channel();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let looks = || {
                while !done.load(SeqCst) {
                    assert_eq!(channel.asset().drift().unwrap(), Drift::None);
                }
            };
            let lookers: Vec<_> = (0..3).map(|_| scope.spawn(looks)).collect();
            for length in 1..=50_000 {
                channel.file().write_all_at(b"x", length - 1).unwrap();
                channel.reach(length).unwrap();
            }
            done.store(true, SeqCst);
            lookers.into_iter().for_each(|looker| looker.join().unwrap());
        });
    }

    #[test]
    fn a_file_that_loses_what_was_promised_is_harmed() {
        let channel = channel();
        channel.file().write_all_at(b"film", 0).unwrap();
        channel.reach(4).unwrap();
        channel.file().set_len(3).unwrap();
        assert_eq!(channel.asset().drift().unwrap(), Drift::Shrank);
    }

    #[test]
    fn a_file_that_outgrows_its_room_keeps_what_readers_hold() {
        let channel = channel();
        channel.file().write_all_at(b"film", 0).unwrap();
        channel.reach(4).unwrap();
        let (asset, slice) = (channel.asset(), channel.asset().slice(0..4).unwrap());
        channel.file().set_len(ROOM + 10).unwrap();
        channel.reach(ROOM + 10).unwrap();
        assert!(!Arc::ptr_eq(&asset, &channel.asset()));
        assert!(asset.slice(ROOM..ROOM + 10).is_none());
        assert!(channel.asset().slice(ROOM..ROOM + 10).is_some());
        assert_eq!(slice, &b"film"[..]);
    }

    #[test]
    fn of_two_that_outgrow_the_room_at_once_the_wider_stays() {
        let channel = channel();
        let [narrow, wide] = [ROOM + 1, 5 * ROOM]
            .map(|length| mapped(channel.file(), length, &channel.census).unwrap());
        channel.widen(wide);
        channel.widen(narrow);
        assert!(channel.asset().slice(5 * ROOM - 1..5 * ROOM).is_some());
    }
}
