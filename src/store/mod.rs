//! Path to bytes: files below a root, mapped once and lent as slices. Knows no HTTP and no container.
//!
//! `root` opens what a path names and nothing outside; `asset` is an open file with its identity;
//! `identity` and `fingerprint` tell growth from a rewrite; `mapping` holds what is `unsafe`; `cache`
//! keeps assets open; `residency` brings spans into memory; `folder` reads a folder's names; `plot` makes
//! files and folders; `stamp` marks what was received with the tag it had as a stream; `unhurried` has
//! what takes long to be let go of end elsewhere.

pub mod asset;
pub mod cache;
mod fingerprint;
pub mod folder;
pub mod identity;
pub mod mapping;
pub mod plot;
pub mod residency;
pub mod root;
pub mod stamp;
mod unhurried;

pub use asset::Asset;
pub use cache::Cache;
pub(crate) use fingerprint::Fingerprint;
pub use identity::{Drift, Identity};
pub use mapping::Census;
pub use root::{Disks, Found, Root};
pub(crate) use unhurried::Unhurried;

/// Whether this process holds the file that is or was there, open or mapped.
#[cfg(test)]
pub(crate) fn is_held(path: &std::path::Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    let mut open = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let name = path.to_str().unwrap();
    maps.contains(name) || open.any(|path| path.to_string_lossy().contains(name))
}
