//! Whether the system lets this process do in a folder what it is told to. Looked at once, at start: what
//! it says later is the answer to a request.

use anyhow::{Context, Result};
use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    process::geteuid,
};
use std::path::Path;

/// Fails unless files in `folder` may be opened and, if it is `listed`, their names read.
pub(super) fn to_read(folder: &Path, listed: bool) -> Result<()> {
    let list = if listed { Access::READ_OK } else { Access::empty() };
    accessat(CWD, folder, list | Access::EXEC_OK, AtFlags::EACCESS)
        .with_context(|| format!("cannot serve {}: {}", folder.display(), may_not("read")))
}

/// Fails unless files in `folder` may be made, and what is left of them found.
pub(super) fn to_write(folder: &Path) -> Result<()> {
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    accessat(CWD, folder, all, AtFlags::EACCESS)
        .with_context(|| format!("cannot write into {}: {}", folder.display(), may_not("write")))
}

fn may_not(what: &str) -> String {
    let user = geteuid();
    format!(
        "user {user}, as whom this runs, may not {what} there: give it leave to (chmod, chown), or run as another"
    )
}
