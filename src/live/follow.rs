//! Files that other programs append to, followed as they grow: inotify(7) tells of each write, and one
//! task hears it for all files. Polls nothing, and ends with a file's last reader.

use super::{Channel, End};
use crate::store::{Census, Identity};
use futures_core::Stream;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use std::{
    collections::HashMap,
    fs::File,
    future::poll_fn,
    io,
    os::fd::AsRawFd,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{sync::Notify, task::spawn_blocking, time::timeout};

/// A value of this type follows files, up to a number of them at once.
#[derive(Debug)]
pub struct Follower {
    most: usize,
    /// There since the first one was followed; held while one begins or ends to be.
    watches: Arc<Mutex<Option<Watches>>>,
    /// Never held for longer than a look-up: the runtime waits for it.
    followed: Table,
}

/// A value of this type is a file that is followed.
#[derive(Debug)]
struct Followed {
    /// Its device and inode: who asks for the same file shares the channel.
    file: (u64, u64),
    channel: Weak<Channel>,
    /// Something was written to it.
    written: Arc<Notify>,
}

impl Followed {
    fn is_of(&self, file: &Identity) -> bool {
        self.file == (file.device, file.inode)
    }
}

type Table = Arc<Mutex<HashMap<WatchDescriptor, Followed>>>;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follower {
    /// Follows up to `most` files at once. Each takes two descriptors, an inotify watch, and address space.
    pub fn new(most: usize) -> Follower {
        Follower { most, watches: Arc::default(), followed: Table::default() }
    }

    /// The channel of the file whose state is `now`, if it is followed.
    pub fn channel(&self, now: &Identity) -> Option<Arc<Channel>> {
        let followed = lock(&self.followed);
        followed.values().find(|followed| followed.is_of(now)).and_then(|f| f.channel.upgrade())
    }

    /// Whether a channel of that identity is followed.
    pub fn follows(&self, identity: &Identity) -> bool {
        self.channel(identity).is_some_and(|channel| channel.identity() == identity)
    }

    /// The channel of `file`, whose state is `now`. It ends, whole, when the file has not grown for `idle`.
    ///
    /// Fails with `QuotaExceeded` where as many are followed as may be, with `StorageFull` where the system watches no more.
    /// May wait, and is called where a runtime is at hand.
    pub fn follow(
        &self,
        file: File,
        now: &Identity,
        idle: Duration,
        census: &Arc<Census>,
    ) -> io::Result<Arc<Channel>> {
        let mut turn = lock(&self.watches);
        let known = self.channel(now);
        if let Some(channel) = known.filter(|channel| channel.state().end.is_none()) {
            return Ok(channel);
        }
        let watches = match &mut *turn {
            Some(watches) => watches,
            none => none.insert(hear(&self.followed)?),
        };
        let mut followed = lock(&self.followed);
        let left: Vec<_> = followed.extract_if(|_, f| f.channel.strong_count() == 0).collect();
        let is_full = followed.values().filter(|other| !other.is_of(now)).count() >= self.most;
        drop(followed);
        for (watch, left) in left {
            // Fails if the file is gone and the watch with it.
            let _ = watches.remove(watch);
            // Its task sees that nobody reads it any more, and ends.
            left.written.notify_one();
        }
        if is_full {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        // By its descriptor, so that it is the very file, whatever has its name now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let watch = watches.add(path, WatchMask::MODIFY)?;
        // What was written before the watch began is seen here.
        let channel = Arc::new(Channel::new(file, now.size, census)?);
        let written = Arc::new(Notify::new());
        written.notify_one();
        let entry = Followed {
            file: (now.device, now.inode),
            channel: Arc::downgrade(&channel),
            written: written.clone(),
        };
        lock(&self.followed).insert(watch.clone(), entry);
        let (table, watches) = (self.followed.clone(), self.watches.clone());
        let (kept, last) = (Arc::downgrade(&channel), now.size);
        tokio::spawn(async move {
            grow(&kept, last, idle, &written).await;
            spawn_blocking(move || {
                let mut turn = lock(&watches);
                let mut followed = lock(&table);
                // Another channel may have taken its place, and goes on with the watch.
                if followed.get(&watch).is_some_and(|f| Arc::ptr_eq(&f.written, &written)) {
                    followed.remove(&watch);
                    drop(followed);
                    // Fails if the file is gone and the watch with it.
                    let _ = turn.as_mut().map(|watches| watches.remove(watch));
                }
            });
        });
        Ok(channel)
    }
}

/// Tells `channel` of each growth of its file beyond `length`, until it has none for `idle` or nobody reads it.
async fn grow(channel: &Weak<Channel>, mut length: u64, idle: Duration, written: &Notify) {
    let mut grown = tokio::time::Instant::now();
    loop {
        let left = idle.saturating_sub(grown.elapsed());
        let silent = timeout(left, written.notified()).await.is_err();
        let Some(channel) = channel.upgrade() else { return };
        // Answered from memory: files that may have to ask elsewhere are not followed.
        let now = channel.file().metadata().map_or(0, |metadata| metadata.len());
        if now > length {
            (length, grown) = (now, tokio::time::Instant::now());
        } else if now < length || silent {
            return channel.end(Some(if now < length { End::Cut } else { End::Whole }));
        }
        if channel.reach(now).is_err() {
            return channel.end(Some(End::Cut));
        }
    }
}

/// Begins to hear of what is written to any of the files in `table`.
fn hear(table: &Table) -> io::Result<Watches> {
    let events = Inotify::init()?.into_event_stream(vec![0; 4096])?;
    let (watches, table) = (events.watches(), Arc::downgrade(table));
    tokio::spawn(async move {
        let mut events = pin!(events);
        while let Some(event) = poll_fn(|cx| events.as_mut().poll_next(cx)).await {
            let Some(table) = table.upgrade() else { return };
            match event {
                // More was written than is told: all are looked at.
                Ok(event) if event.mask.contains(EventMask::Q_OVERFLOW) => {
                    lock(&table).values().for_each(|followed| followed.written.notify_one());
                }
                Ok(event) => {
                    if let Some(followed) = lock(&table).get(&event.wd) {
                        followed.written.notify_one();
                    }
                }
                Err(error) => return tracing::error!("files can no longer be followed: {error}"),
            }
        }
    });
    Ok(watches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Asset;
    use std::{fs, os::unix::fs::FileExt, path::Path};
    use tokio::{runtime::Handle, task::yield_now};

    const IDLE: Duration = Duration::from_secs(3600);

    /// A new file that is followed.
    fn followed(follower: &Follower, folder: &Path, name: &str) -> (File, Arc<Channel>) {
        let path = folder.join(name);
        let file = File::options().create_new(true).read(true).write(true).open(path).unwrap();
        let census = Arc::default();
        let asset = Asset::growing(file.try_clone().unwrap(), 1, &census).unwrap();
        let channel =
            follower.follow(file.try_clone().unwrap(), asset.identity(), IDLE, &census).unwrap();
        (file, channel)
    }

    #[tokio::test]
    async fn where_more_is_written_than_the_kernel_tells_of_nothing_is_missed() {
        let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let follower = Follower::new(4);
        let [one, two, lost, last] =
            ["one", "two", "lost", "last"].map(|name| followed(&follower, folder.path(), name));
        for (file, channel) in [&one, &two, &lost, &last] {
            file.write_all_at(b"f", 0).unwrap();
            while channel.state().length == 0 {
                yield_now().await;
            }
        }
        // Two that take turns, since the kernel tells once of what happens to one twice in a row. Nobody reads meanwhile.
        for _ in 0..=queue.trim().parse::<u32>().unwrap() / 2 {
            one.0.write_all_at(b"1", 0).unwrap();
            two.0.write_all_at(b"2", 0).unwrap();
        }
        lost.0.write_all_at(b"film", 0).unwrap();
        while last.1.state().length < 4 {
            last.0.write_all_at(b"film", 0).unwrap();
            yield_now().await;
        }
        assert_eq!(lost.1.state().length, 4);
    }

    #[tokio::test]
    async fn who_comes_and_goes_leaves_no_tasks_behind() {
        let folder = tempfile::tempdir().unwrap();
        let follower = Follower::new(1);
        let (file, channel) = followed(&follower, folder.path(), "film");
        let (asset, census) = (channel.asset(), Arc::default());
        drop(channel);
        for _ in 0..100 {
            let file = file.try_clone().unwrap();
            let channel = follower.follow(file, asset.identity(), IDLE, &census).unwrap();
            // Its task begins to wait.
            yield_now().await;
            drop(channel);
        }
        let tasks = Handle::current().metrics().num_alive_tasks();
        assert!(tasks < 10, "{tasks}");
    }

    #[tokio::test]
    async fn no_more_are_followed_at_once_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let follower = Follower::new(1);
        let (one, channel) = followed(&follower, folder.path(), "one");
        let (two, census) = (tempfile::tempfile().unwrap(), Arc::default());
        let asset = Asset::growing(two.try_clone().unwrap(), 1, &census).unwrap();
        let follow = |file: &File, asset: &Asset| {
            follower.follow(file.try_clone().unwrap(), asset.identity(), IDLE, &census)
        };
        assert_eq!(follow(&two, &asset).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        // The one that is followed is so for all who ask.
        let again = follow(&one, &channel.asset()).unwrap();
        assert!(Arc::ptr_eq(&again, &channel));
        drop((again, channel));
        assert!(follow(&two, &asset).is_ok());
    }
}
