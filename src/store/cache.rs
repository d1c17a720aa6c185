//! The assets that are open: each file mapped once, bounded by number, checked at every request.

use super::{
    Asset, Found, Identity, Root,
    mapping::Census,
    root::{Disks, Place},
};
use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

/// A value of this type is an asset as one place names it, with what the cache's owner keeps of it.
#[derive(Debug)]
pub struct Opened<T> {
    pub asset: Arc<Asset>,
    /// Whether the place is a link to it.
    is_link: bool,
    pub detail: T,
}

/// A value of this type keeps the assets below a root open, at most as many as its capacity;
/// one that is dropped while it is being sent lives on in its readers alone.
pub struct Cache<T> {
    root: Root,
    open: quick_cache::sync::Cache<Place, Arc<Opened<T>>>,
    /// Every asset that is alive, so that two places of one file share its mapping.
    live: Mutex<HashMap<Identity, Weak<Asset>>>,
    census: Arc<Census>,
    describe: fn(&Place, &Asset) -> T,
}

impl<T> Cache<T> {
    /// An empty cache; `describe` makes, once an opening, what is kept beside the asset.
    pub fn new(root: Root, capacity: usize, describe: fn(&Place, &Asset) -> T) -> Cache<T> {
        Cache {
            root,
            open: quick_cache::sync::Cache::new(capacity),
            live: Mutex::default(),
            census: Arc::default(),
            describe,
        }
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What is mapped, by the cache or by readers.
    pub fn census(&self) -> &Arc<Census> {
        &self.census
    }

    /// The asset at `place`, if it is open and the file there is still the same. Never waits, so a
    /// remote asset is not given: [`Cache::find`] it.
    pub fn get(&self, place: &Place) -> Option<Arc<Opened<T>>> {
        let opened = self.open.get(place)?;
        (!opened.asset.remote() && self.is_current(place, &opened)).then_some(opened)
    }

    /// The asset or the folder at `place`. Waits for these disks.
    pub fn find(&self, place: &Place, disks: Disks) -> io::Result<Found<Arc<Opened<T>>>> {
        if let Some(opened) = self.open.get(place) {
            if self.is_inside(place, &opened, disks)? && self.root.is_link(place)? == opened.is_link
            {
                return Ok(Found::File(opened));
            }
            self.open.remove(place);
        }
        match self.root.find(place, disks)? {
            Found::Folder(folder) => Ok(Found::Folder(folder)),
            Found::File(file) => {
                let asset = self.share(file)?;
                let detail = (self.describe)(place, &asset);
                let is_link = self.root.is_link(place)?;
                let opened = Arc::new(Opened { asset, is_link, detail });
                self.open.insert(place.clone(), opened.clone());
                Ok(Found::File(opened))
            }
        }
    }

    /// Drops the asset of the file that was at `place` until it was removed or replaced, whatever other names it was opened
    /// under. If nobody reads it, its disk space is free when this returns. Waits for the disk.
    pub fn forget(&self, place: &Place) {
        let Some((_, gone)) = self.open.remove(place) else { return };
        let others = self.open.iter().filter(|(_, other)| Arc::ptr_eq(&other.asset, &gone.asset));
        for place in others.map(|(place, _)| place).collect::<Vec<_>>() {
            self.open.remove(&place);
        }
        let asset = Arc::into_inner(gone).and_then(|gone| Arc::into_inner(gone.asset));
        if let Some(asset) = asset {
            asset.close();
        }
    }

    /// Drops every asset whose file is gone or has changed, so that a deleted film's disk space is
    /// given back although nobody asks for it again. Waits for these disks; those that lie elsewhere stay.
    pub fn sweep(&self, disks: Disks) {
        let gone = |place: &Place, opened: &Opened<T>| {
            let inside = self.is_inside(place, opened, disks);
            matches!(inside, Ok(false))
        };
        let open = self.open.iter();
        let stale: Vec<_> =
            open.filter(|(place, opened)| gone(place, opened)).map(|(place, _)| place).collect();
        for place in stale {
            self.open.remove(&place);
        }
    }

    /// Whether a file of that identity is open, for the cache or for readers.
    pub fn is_alive(&self, identity: &Identity) -> bool {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(identity).is_some_and(|asset| asset.strong_count() > 0)
    }

    /// Whether the same file is at `place`, as far as the kernel knows without asking further.
    fn is_current(&self, place: &Place, opened: &Opened<T>) -> bool {
        let began = Instant::now();
        let now = self.root.identity(place, opened.is_link);
        let same = matches!(now, Ok(Some(now)) if now == *opened.asset.identity());
        if same {
            opened.asset.note_look(began);
        }
        same
    }

    /// The same, and the way there still stays inside the root. Waits for these disks; fails if they are
    /// not those on which that can be told.
    fn is_inside(&self, place: &Place, opened: &Opened<T>, disks: Disks) -> io::Result<bool> {
        match self.root.stat(place, disks) {
            Ok(now) => Ok(Identity::of(&now) == *opened.asset.identity()),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// The asset of an opened file: the living one of the same identity, or a new mapping.
    fn share(&self, file: File) -> io::Result<Arc<Asset>> {
        // Before the lock, for a remote file system may be long in answering, and a file of
        // another doesn't wait for it to be opened.
        let asset = Arc::new(Asset::new(file, &self.census)?);
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, asset| asset.strong_count() > 0);
        if let Some(living) = live.get(asset.identity()).and_then(Weak::upgrade) {
            return Ok(living);
        }
        live.insert(*asset.identity(), Arc::downgrade(&asset));
        drop(live);
        Ok(asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::is_held;
    use std::{fs, os::unix::fs::symlink};

    fn cache(capacity: usize) -> (tempfile::TempDir, Cache<()>) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, Cache::new(root, capacity, |_, _| ()))
    }

    fn place(name: &str) -> Place {
        Place::new([name.as_bytes()]).unwrap()
    }

    fn file(cache: &Cache<()>, name: &str) -> Arc<Asset> {
        match cache.find(&place(name), Disks::All).unwrap() {
            Found::File(opened) => opened.asset.clone(),
            Found::Folder(_) => panic!("{name} is a folder"),
        }
    }

    #[test]
    fn a_file_is_mapped_once_under_all_its_names() {
        let (folder, cache) = cache(8);
        fs::write(folder.path().join("a"), "film").unwrap();
        fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
        assert!(Arc::ptr_eq(&file(&cache, "a"), &file(&cache, "b")));
        assert!(Arc::ptr_eq(&file(&cache, "a"), &file(&cache, "a")));
        assert_eq!((cache.census().mappings(), cache.census().bytes()), (1, 4));
    }

    #[test]
    fn a_changed_file_is_another_asset() {
        let (folder, cache) = cache(8);
        fs::write(folder.path().join("a"), "film").unwrap();
        let before = file(&cache, "a");
        assert!(cache.get(&place("a")).is_some());
        fs::write(folder.path().join("new"), "new film").unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("a")).unwrap();
        assert!(cache.get(&place("a")).is_none());
        let after = file(&cache, "a");
        assert_eq!((before.length(), after.length()), (4, 8));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed_by_who_may_not_wait() {
        let (folder, cache) = cache(8);
        let [a, b, link] = ["a", "b", "link"].map(|name| folder.path().join(name));
        fs::write(&a, "film").unwrap();
        symlink("a", &link).unwrap();
        file(&cache, "link");
        file(&cache, "a");
        assert!(cache.get(&place("link")).is_some() && cache.get(&place("a")).is_some());
        fs::rename(&a, &b).unwrap();
        symlink("b", &a).unwrap();
        assert!(cache.get(&place("a")).is_none());
        assert_eq!(file(&cache, "a").length(), 4);
        assert!(cache.get(&place("a")).is_some());
    }

    #[test]
    fn the_number_of_open_assets_is_bounded() {
        let (folder, cache) = cache(4);
        for number in 0..64 {
            fs::write(folder.path().join(number.to_string()), number.to_string()).unwrap();
            file(&cache, &number.to_string());
        }
        assert!(cache.census().mappings() <= 4, "{} mapped", cache.census().mappings());
    }

    #[test]
    fn what_is_forgotten_is_let_go_of_at_once_unless_it_is_read() {
        let (folder, cache) = cache(4);
        for (name, length) in [("short", 4_u64), ("long", 1 << 30)] {
            let film = folder.path().join(name);
            fs::File::create(&film).unwrap().set_len(length).unwrap();
            fs::hard_link(&film, folder.path().join("other")).unwrap();
            for _ in 0..50 {
                file(&cache, name);
                file(&cache, "other");
                assert!(is_held(&film));
                cache.forget(&place(name));
                assert!(!is_held(&film), "{name}");
            }
            let read = file(&cache, name);
            fs::remove_file(&film).unwrap();
            cache.forget(&place(name));
            assert!(cache.get(&place(name)).is_none() && is_held(&film));
            let slice = read.slice(0..4).unwrap();
            cache.forget(&place(name));
            drop(read);
            assert_eq!(slice.len(), 4);
            fs::remove_file(folder.path().join("other")).unwrap();
        }
    }

    #[test]
    fn a_sweep_lets_go_of_deleted_files() {
        let (folder, cache) = cache(4);
        for name in ["kept", "deleted"] {
            fs::write(folder.path().join(name), "film").unwrap();
            file(&cache, name);
        }
        fs::remove_file(folder.path().join("deleted")).unwrap();
        cache.sweep(Disks::Own);
        assert_eq!(cache.census().mappings(), 1);
        assert!(cache.get(&place("kept")).is_some());
    }
}
