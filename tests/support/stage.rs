//! A root with files in it that is served, in a folder that holds a secret beside it. A test adds
//! what it asks by an `impl` of its own.
#![allow(dead_code)] // Each test uses a part.

use super::Server;
use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// A value of this type is such a root and its server.
pub struct Stage {
    pub server: Server,
    outside: tempfile::TempDir,
}

impl Stage {
    /// Serves `files`, by their paths below the root, with the flags of `reelmap serve`.
    pub fn of(files: &[(&str, &[u8])], flags: &[&str]) -> Stage {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let root = outside.path().join("root");
        fs::create_dir(&root).unwrap();
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Stage { server: Server::start(&root, flags), outside }
    }

    /// The folder that holds the root and the secret.
    pub fn outside(&self) -> &Path {
        self.outside.path()
    }

    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.outside.path().join("root").join(name.as_ref())
    }

    pub fn link(&self, to: &str, name: &str) {
        symlink(to, self.path(name)).unwrap();
    }
}
