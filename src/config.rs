//! What the user typed (`Cli`), and what it means (`Config`): checked once, at start.

mod allowed;
mod ingest;
mod typed;

pub use ingest::Ingest;
pub use typed::{said_in_the_environment, said_of_a_folder};

use anyhow::{Context, Result, bail, ensure};
use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use tracing::level_filters::LevelFilter;
use typed::{address, bytes, number, yes_or_no};

/// Serves a folder of video files over HTTP, so that browsers, mpv, VLC, ffmpeg and curl can play and
/// seek them.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a folder until SIGTERM or SIGINT
    Serve(Serve),
    /// Ask a running server whether it is well: exit status 0 if so, else 1
    Health(Health),
    /// Tell where moments of a film lie in its file, as JSON
    At(At),
    /// Tell what a film is: container, tracks, frame rate, sync samples, as JSON
    Info(Info),
}

/// The flags of `reelmap serve`, as typed. Each has an environment variable and a default.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The folder to serve; nothing outside it can be reached
    #[arg(default_value = ".", env = "REELMAP_ROOT")]
    pub root: PathBuf,

    /// Address and port to listen on; several times, or several separated by commas
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    #[arg(env = "REELMAP_LISTEN", value_delimiter = ',', value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// Threads that serve requests; 0 means one a processor
    #[arg(long, default_value_t = 0, env = "REELMAP_THREADS", value_name = "N")]
    #[arg(value_parser = number::<u16>(0..=1024))]
    pub threads: u16,

    /// Connections served at once; more wait in the kernel's queue [default: 10000, or as many as
    /// the limit of open files leaves room for]
    #[arg(long, env = "REELMAP_MAX_CONNECTIONS", value_name = "N")]
    #[arg(value_parser = number::<u32>(1..=1_000_000))]
    pub max_connections: Option<u32>,

    /// Files kept open and mapped for the next request
    #[arg(long, default_value_t = 1024, env = "REELMAP_OPEN_FILES", value_name = "N")]
    #[arg(value_parser = number::<u32>(1..=1_000_000))]
    pub open_files: u32,

    /// Memory for indexes of films, which lead from times to bytes, in MiB
    #[arg(long, default_value_t = 128, env = "REELMAP_INDEX_MIB", value_name = "MIB")]
    #[arg(value_parser = number::<u32>(1..=1_048_576))]
    pub index_mib: u32,

    /// Seconds that a film may be looked through to find a moment in it
    #[arg(long, default_value_t = 60, env = "REELMAP_INDEX_TIME", value_name = "SECONDS")]
    #[arg(value_parser = number::<u32>(1..=86_400))]
    pub index_time: u32,

    /// Largest head of a request (its line and its headers), in KiB
    #[arg(long, default_value_t = 32, env = "REELMAP_MAX_HEADER_KIB", value_name = "KIB")]
    #[arg(value_parser = number::<u16>(16..=1024))]
    pub max_header_kib: u16,

    /// Seconds that a client may take to send the head of a request
    #[arg(long, default_value_t = 10, env = "REELMAP_HEADER_TIMEOUT", value_name = "SECONDS")]
    #[arg(value_parser = number::<u32>(1..=86_400))]
    pub header_timeout: u32,

    /// Seconds that a connection may be idle between requests, and a stream silent until its readers are asked whether they
    /// are there
    #[arg(long, default_value_t = 75, env = "REELMAP_IDLE_TIMEOUT", value_name = "SECONDS")]
    #[arg(value_parser = number::<u32>(1..=86_400))]
    pub idle_timeout: u32,

    /// Seconds after which a client that takes no byte of its answer is closed
    #[arg(long, default_value_t = 60, env = "REELMAP_WRITE_TIMEOUT", value_name = "SECONDS")]
    #[arg(value_parser = number::<u32>(1..=86_400))]
    pub write_timeout: u32,

    /// Seconds that answers in flight get to finish after SIGTERM or SIGINT; a second signal ends them
    #[arg(long, default_value_t = 30, env = "REELMAP_DRAIN", value_name = "SECONDS")]
    #[arg(value_parser = number::<u32>(0..=86_400))]
    pub drain: u32,

    /// Answer 404 for folders, instead of a page or JSON that lists them
    #[arg(long, env = "REELMAP_NO_LISTING")]
    #[arg(value_parser = yes_or_no)]
    pub no_listing: bool,

    #[command(flatten)]
    pub ingest: ingest::Flags,

    /// Let no page of another origin read answers (no CORS headers)
    #[arg(long, env = "REELMAP_NO_CORS")]
    #[arg(value_parser = yes_or_no)]
    pub no_cors: bool,

    /// Send films by vectored writes of their mappings alone, never by sendfile
    #[arg(long, env = "REELMAP_NO_SENDFILE")]
    #[arg(value_parser = yes_or_no)]
    pub no_sendfile: bool,

    /// One line a request on standard output
    #[arg(long, value_enum, default_value_t, env = "REELMAP_ACCESS_LOG", value_name = "FORMAT")]
    pub access_log: LineFormat,

    /// What else is logged, on standard error
    #[arg(long, default_value = "info", env = "REELMAP_LOG_LEVEL", value_name = "LEVEL")]
    #[arg(value_parser = PossibleValuesParser::new(LEVELS).try_map(|level| level.parse::<LevelFilter>()))]
    pub log_level: LevelFilter,
}

/// The flags of `reelmap health`, as typed.
#[derive(Args, Clone, Debug)]
pub struct Health {
    /// What to ask [default: /-/health at the first address of REELMAP_LISTEN, or at 127.0.0.1:8080]
    #[arg(value_name = "URL")]
    pub url: Option<String>,

    /// Where the server listens
    #[arg(long, hide = true, default_value = "127.0.0.1:8080")]
    #[arg(env = "REELMAP_LISTEN", value_delimiter = ',', value_parser = address)]
    listen: Vec<SocketAddr>,
}

/// The arguments of `reelmap at`, as typed.
#[derive(Args, Clone, Debug)]
pub struct At {
    /// The film
    pub file: PathBuf,

    /// Moments: 90.5, 1:30.5, 00:01:30.500, 00:01:30:12, '00:01:30;12' (drop-frame), '#2250' (a frame)
    #[arg(required = true, value_name = "TIMECODE", allow_negative_numbers = true)]
    pub timecodes: Vec<String>,

    /// Labels are those of the film's own timecode track, instead of counted from its first frame
    #[arg(long)]
    pub tc: bool,

    /// How many bytes the range shall hold [default: all to the end of the file]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub size: Option<u64>,

    /// Text for people instead of JSON
    #[arg(long)]
    pub human: bool,
}

/// The arguments of `reelmap info`, as typed.
#[derive(Args, Clone, Debug)]
pub struct Info {
    /// The film
    pub file: PathBuf,

    /// Text for people instead of JSON
    #[arg(long)]
    pub human: bool,
}

/// How much is logged, from nothing to all.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A value of this type is how the access log's lines look, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LineFormat {
    #[default]
    Text,
    Json,
    Off,
}

/// A value of this type is what a server is told to do; every figure in it makes sense.
#[derive(Clone, Debug)]
pub struct Config {
    pub root: PathBuf,
    pub listen: Vec<SocketAddr>,
    pub threads: usize,
    pub limits: Limits,
    pub open_files: usize,
    /// Bytes that indexes may hold.
    pub indexes: u64,
    /// The longest that one film may be looked through for its times.
    pub index_time: Duration,
    pub drain: Duration,
    pub ingest: Ingest,
    pub live_wait: Duration,
    pub follow_idle: Duration,
    pub listing: bool,
    pub cors: bool,
    pub sendfile: bool,
    pub access_log: LineFormat,
    pub log_level: LevelFilter,
}

/// A value of this type bounds what one client, and all of them, may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: usize,
    /// Files that other programs write and clients follow, at once.
    pub followed: usize,
    /// Bytes of a request's line and headers.
    pub head: usize,
    /// Bytes of a request's target (RFC 9112 §3 asks for 8,000 at least).
    pub target: usize,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
}

/// Connections served at once where neither the user nor the system says otherwise.
const MOST_CONNECTIONS: u64 = 10_000;

/// Files of other programs that are followed at once; each takes two descriptors.
const MOST_FOLLOWED: u64 = 64;

/// File descriptors that are neither a connection nor an open film: files that are followed, sockets that
/// listen, logs, folders being listed, files being opened.
const DESCRIPTORS_ASIDE: u64 = 2 * MOST_FOLLOWED + 128;

impl Config {
    /// What `serve` means where a process may open `descriptors` files.
    pub fn new(serve: Serve, descriptors: Option<u64>) -> Result<Config> {
        let root = serve.root.canonicalize().with_context(|| {
            format!("cannot serve {}: give a folder that is there", serve.root.display())
        })?;
        ensure!(
            root.is_dir(),
            "cannot serve {}: it is not a folder: give the one that it lies in",
            serve.root.display(),
        );
        allowed::to_read(&root, !serve.no_listing)?;
        ensure!(!serve.listen.is_empty(), "nothing to listen on: give --listen ADDRESS:PORT");
        let ingest = Ingest::new(&serve.ingest, &root, &serve.listen)?;
        let room = descriptors.unwrap_or(u64::MAX);
        let aside = DESCRIPTORS_ASIDE + ingest.descriptors();
        let room = room.saturating_sub(u64::from(serve.open_files) + aside);
        let connections = serve.max_connections.map_or(room.min(MOST_CONNECTIONS), u64::from);
        if connections == 0 || connections > room {
            let films = u64::from(serve.open_files);
            let least = films + aside + connections.max(1);
            bail!(
                "this process may open {} files, and {films} films, {} connections and what else there is need \
                 {least}: raise the limit (ulimit -n {least}), or lower --open-files or --max-connections",
                descriptors.unwrap_or(u64::MAX),
                connections.max(1),
            );
        }
        let limits = Limits {
            connections: usize::try_from(connections)?,
            followed: usize::try_from(MOST_FOLLOWED)?,
            head: usize::from(serve.max_header_kib) * 1024,
            target: 8 * 1024,
            header_timeout: seconds(serve.header_timeout),
            idle_timeout: seconds(serve.idle_timeout),
            write_timeout: seconds(serve.write_timeout),
        };
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Config {
            root,
            listen: serve.listen,
            threads: if serve.threads == 0 { processors() } else { serve.threads.into() },
            limits,
            open_files: serve.open_files as usize,
            indexes: u64::from(serve.index_mib) << 20,
            index_time: seconds(serve.index_time),
            drain: seconds(serve.drain),
            ingest,
            live_wait: seconds(serve.ingest.live_wait),
            follow_idle: seconds(serve.ingest.follow_idle),
            listing: !serve.no_listing,
            cors: !serve.no_cors,
            sendfile: !serve.no_sendfile,
            access_log: serve.access_log,
            log_level: serve.log_level,
        })
    }
}

impl Health {
    /// The URL to ask.
    pub fn url(&self) -> String {
        self.url.clone().unwrap_or_else(|| {
            let mut at = self.listen.first().copied().unwrap_or(([127, 0, 0, 1], 8080).into());
            match at.ip() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => at.set_ip(Ipv4Addr::LOCALHOST.into()),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED) => at.set_ip(Ipv6Addr::LOCALHOST.into()),
                _ => {}
            }
            format!("http://{at}/-/health")
        })
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(arguments: &[&str]) -> Serve {
        let line = ["reelmap", "serve"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Serve(serve) => serve,
            _ => unreachable!(),
        }
    }

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        let nonsense: [&[&str]; 9] = [
            &["--listen", "nowhere"],
            &["--listen", "127.0.0.1"],
            &["--max-connections", "0"],
            &["--open-files", "-1"],
            &["--write-timeout", "0"],
            &["--drain", "soon"],
            &["--access-log", "xml"],
            &["--log-level", "loud"],
            &["--no-such-flag"],
        ];
        for arguments in nonsense {
            let line = ["reelmap", "serve"].iter().chain(arguments);
            assert!(Cli::try_parse_from(line).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn a_root_that_is_no_folder_is_a_sentence() {
        for (root, says) in [("/no/such/folder", "is there"), ("/dev/null", "not a folder")] {
            let error = format!("{:#}", Config::new(typed(&[root]), None).unwrap_err());
            assert!(error.contains(root) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn writing_is_off_unless_it_is_asked_for() {
        let config = Config::new(typed(&[]), None).unwrap();
        assert!(config.ingest.folders.is_empty());
    }

    #[test]
    fn folders_to_write_into_lie_inside_the_root() {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("live/deep")).unwrap();
        std::fs::write(top.join("film"), "film").unwrap();
        std::os::unix::fs::symlink("/tmp", top.join("out")).unwrap();
        let ingest =
            |folder: &str| Config::new(typed(&[top.to_str().unwrap(), "--ingest", folder]), None);
        let absolute = top.join("live/deep");
        for (folder, expected) in
            [("live", "live"), (absolute.to_str().unwrap(), "live/deep"), (".", "")]
        {
            let config = ingest(folder).unwrap();
            assert_eq!(config.ingest.folders[0].inside, PathBuf::from(expected), "{folder}");
        }
        let refused =
            [("none", "is there"), ("film", "not a folder"), ("/", "inside"), ("out", "inside")];
        for (folder, says) in refused {
            let error = format!("{:#}", ingest(folder).unwrap_err());
            assert!(error.contains(says), "{folder}: {error}");
        }
    }

    #[test]
    fn an_open_port_asks_for_a_token_or_a_word() {
        let root = tempfile::tempdir().unwrap();
        let token = root.path().join("token");
        let top = root.path().to_str().unwrap();
        let serve = |flags: &[&str]| {
            let always = [top, "--ingest", ".", "--listen"];
            Config::new(typed(&[&always, flags].concat()), None)
        };
        let file = ["0.0.0.0:80", "--ingest-token-file", token.to_str().unwrap()];
        assert!(serve(&["127.0.0.1:80"]).is_ok() && serve(&["[::1]:80"]).is_ok());
        let error = format!("{:#}", serve(&["0.0.0.0:80"]).unwrap_err());
        assert!(
            error.contains("--ingest-token-file") && error.contains("--ingest-open"),
            "{error}"
        );
        assert!(serve(&["0.0.0.0:80", "--ingest-open"]).is_ok());
        assert!(serve(&file).is_err());
        for bad in ["", " \n", "two words", "t\u{e9}"] {
            std::fs::write(&token, bad).unwrap();
            assert!(serve(&file).is_err(), "{bad:?}");
        }
        std::fs::write(&token, "secret\n").unwrap();
        let config = serve(&file).unwrap();
        assert_eq!(config.ingest.token.as_ref().unwrap().as_bytes(), b"secret");
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn limits_fit_into_the_descriptors() {
        let flags = ["--max-connections", "500", "--open-files", "300"];
        assert!(Config::new(typed(&flags), Some(1100)).is_ok());
        assert!(Config::new(typed(&flags), Some(1050)).is_err());
        let most = |files| Config::new(typed(&[]), files).map(|config| config.limits.connections);
        assert_eq!(most(None).unwrap(), 10_000);
        assert_eq!(most(Some(4096)).unwrap(), 4096 - 1024 - 256);
        assert!(most(Some(1024)).is_err());
        let said = most(Some(20)).unwrap_err().to_string();
        assert!(said.contains("open 20 files") && said.contains("(ulimit -n 1281)"), "{said}");
    }

    #[test]
    fn health_asks_where_the_server_listens() {
        let ask = |listen: &str| {
            let at = listen.parse().unwrap();
            Health { url: None, listen: vec![at] }.url()
        };
        assert_eq!(ask("0.0.0.0:80"), "http://127.0.0.1:80/-/health");
        assert_eq!(ask("[::]:80"), "http://[::1]:80/-/health");
        assert_eq!(ask("10.1.2.3:99"), "http://10.1.2.3:99/-/health");
    }
}
