//! Whether and where files may be written, as typed and as meant.

use super::{
    allowed,
    typed::{number, yes_or_no},
};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The flags of writing, and of reading what is being written.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// A folder inside ROOT that files may be written into, and streams; several times, or several
    /// separated by commas
    #[arg(long, value_name = "DIR", env = "REELMAP_INGEST", value_delimiter = ',')]
    pub ingest: Vec<PathBuf>,

    /// A file that holds the token which writers must show (Authorization: Bearer)
    #[arg(long, value_name = "FILE", env = "REELMAP_INGEST_TOKEN_FILE", requires = "ingest")]
    pub ingest_token_file: Option<PathBuf>,

    /// Let whoever reaches the port write, without a token: needed where others than this machine reach it
    #[arg(long, env = "REELMAP_INGEST_OPEN", requires = "ingest")]
    #[arg(value_parser = yes_or_no, conflicts_with = "ingest_token_file")]
    pub ingest_open: bool,

    /// The most bytes that one file or stream may have
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 40, env = "REELMAP_INGEST_MAX_BYTES")]
    #[arg(value_parser = number::<u64>(1..=1 << 62))]
    pub ingest_max_bytes: u64,

    /// Files and streams that may be received at once, further ones are 503; those that wait to be gone on with give way
    #[arg(long, value_name = "N", default_value_t = 64, env = "REELMAP_INGEST_MAX_STREAMS")]
    #[arg(value_parser = number::<u16>(1..=u16::MAX))]
    pub ingest_max_streams: u16,

    /// Days that an unfinished file is kept while nobody goes on with it; 0 is for ever
    #[arg(long, value_name = "DAYS", default_value_t = 7, env = "REELMAP_INGEST_KEEP")]
    #[arg(value_parser = number::<u16>(0..=u16::MAX))]
    pub ingest_keep: u16,

    /// Seconds after which a writer that sends nothing is cut off
    #[arg(long, value_name = "SECONDS", default_value_t = 30, env = "REELMAP_INGEST_IDLE")]
    #[arg(value_parser = number::<u32>(1..=86_400))]
    pub ingest_idle: u32,

    /// Seconds that a range which begins at the end of a growing file waits for its first byte
    #[arg(long, value_name = "SECONDS", default_value_t = 10, env = "REELMAP_LIVE_WAIT")]
    #[arg(value_parser = number::<u32>(0..=86_400))]
    pub live_wait: u32,

    /// Seconds without growth after which a file that another program writes counts as ended
    #[arg(long, value_name = "SECONDS", default_value_t = 10, env = "REELMAP_FOLLOW_IDLE")]
    #[arg(value_parser = number::<u32>(1..=86_400))]
    pub follow_idle: u32,
}

/// A value of this type says where files may be written, by whom, and how much.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// The folders, as the root leads to them and as the system does; none where nothing is written.
    pub folders: Vec<Folder>,
    pub token: Option<Token>,
    /// Bytes of one file.
    pub most_bytes: u64,
    pub most_streams: usize,
    pub idle: Duration,
    /// How long what waits to be gone on with is kept; `None` for ever.
    pub keep: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Folder {
    pub inside: PathBuf,
    pub path: PathBuf,
}

/// A value of this type is a secret: it isn't shown where a configuration is.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Ingest {
    /// What the flags mean for a server of `root` that listens at `listen`.
    pub(crate) fn new(flags: &Flags, root: &Path, listen: &[SocketAddr]) -> Result<Ingest> {
        let folders = flags.ingest.iter().map(|folder| inside(folder, root));
        let folders = folders.collect::<Result<Vec<_>>>()?;
        let token = flags.ingest_token_file.as_deref().map(token).transpose()?;
        let reachable = listen.iter().find(|at| !at.ip().is_loopback());
        if let Some(at) = reachable {
            ensure!(
                folders.is_empty() || token.is_some() || flags.ingest_open,
                "whoever reaches {at} could write: give --ingest-token-file, or --ingest-open if \
                 that is meant",
            );
        }
        Ok(Ingest {
            folders,
            token,
            most_bytes: flags.ingest_max_bytes,
            most_streams: flags.ingest_max_streams.into(),
            idle: Duration::from_secs(flags.ingest_idle.into()),
            keep: Some(Duration::from_secs(86_400 * u64::from(flags.ingest_keep)))
                .filter(|keep| !keep.is_zero()),
        })
    }

    /// Files that are open for uploads: for each, on the folders' own disks and on others, its bytes, as written and as
    /// lent, its record, its folder.
    pub(crate) fn descriptors(&self) -> u64 {
        if self.folders.is_empty() { 0 } else { 8 * self.most_streams as u64 }
    }
}

/// A folder that is given as the root leads to it, or as the system does.
fn inside(folder: &Path, root: &Path) -> Result<Folder> {
    let tried = root.join(folder);
    let path = match tried.canonicalize().or_else(|why| folder.canonicalize().map_err(|_| why)) {
        Ok(path) => path,
        Err(why) if why.kind() == io::ErrorKind::NotFound => bail!(
            "cannot write into {}: there is no {}: make it, or give a folder that is there",
            folder.display(),
            tried.display(),
        ),
        Err(why) => {
            return Err(why).with_context(|| format!("cannot write into {}", tried.display()));
        }
    };
    ensure!(path.is_dir(), "cannot write into {}: it is not a folder", folder.display());
    let Ok(inside) = path.strip_prefix(root) else {
        bail!("cannot write into {}: it must lie inside {}", folder.display(), root.display());
    };
    allowed::to_write(&path)?;
    Ok(Folder { inside: inside.to_owned(), path })
}

fn token(file: &Path) -> Result<Token> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token in {}", file.display()))?;
    let token = text.trim();
    // What a header can carry (RFC 6750 §2.1).
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(fits, "{} must hold one token of visible ASCII characters", file.display());
    Ok(Token(token.to_owned()))
}
