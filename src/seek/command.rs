//! `reelmap at` and `reelmap info`: a file on this machine is asked as the server would be.

use super::{Film, Question};
use crate::media::{self, Source};
use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use serde::Serialize;
use std::{
    fmt::Display,
    fs::{File, Metadata},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

/// Prints what the file at `path` answers, on standard output: JSON, or text for people.
pub fn ask(path: &Path, question: &Question, human: bool) -> Result<()> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    let before = file.metadata().with_context(|| format!("cannot read {name}"))?;
    ensure!(!before.is_dir(), "{name} is a folder: name a film in it");
    ensure!(before.is_file(), "{name} is no regular file");
    let source = OnDisk { file, length: before.len() };
    let index = media::open(&source).with_context(|| name.to_string())?;
    let film = Film { index: &*index, source: &source };
    let text = match question {
        Question::Info => show(&film.info().with_context(|| name.to_string())?, human)?,
        Question::Moments { meaning, asked, size } => {
            show(&film.moments(*meaning, asked, *size).with_context(|| name.to_string())?, human)?
        }
    };
    let after = source.file.metadata().with_context(|| format!("cannot read {name}"))?;
    ensure!(state(&before) == state(&after), "{name} was changed while it was read: ask again");
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the answer")
}

fn show(answer: &(impl Serialize + Display), human: bool) -> Result<String> {
    Ok(if human { answer.to_string() } else { serde_json::to_string(answer)? + "\n" })
}

/// What tells one state of a file from another.
fn state(of: &Metadata) -> (u64, i64, i64) {
    (of.size(), of.mtime(), of.mtime_nsec())
}

struct OnDisk {
    file: File,
    length: u64,
}

impl Source for OnDisk {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn stored_from(&self, offset: u64) -> u64 {
        match seek(&self.file, SeekFrom::Data(offset)) {
            Ok(stored) => stored.max(offset),
            Err(Errno::NXIO) => self.length.max(offset),
            Err(_) => offset,
        }
    }
}
