//! The `reelmap` command: what was typed becomes a server, or a question to one.

use anyhow::{Context, Result};
use clap::Parser;
use reelmap::{
    config::{self, Cli, Command, Config, LineFormat},
    health,
    seek::{self, Meaning, Question},
    serve,
    telemetry::{self, AccessLog},
};
use rustix::process::{self, Resource, Rlimit, getrlimit, setrlimit};
use std::{process::ExitCode, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    let typed = Cli::try_parse().unwrap_or_else(|error| {
        let said = config::said_in_the_environment(&error).or(config::said_of_a_folder(&error));
        let _ = error.print();
        if let Some(said) = said {
            eprintln!("{said}");
        }
        std::process::exit(error.exit_code())
    });
    let outcome = match typed.command {
        Command::Serve(flags) => run(flags),
        Command::Health(flags) => health::ask(&flags.url()),
        Command::At(flags) => match moments(&flags) {
            Ok(question) => seek::command::ask(&flags.file, &question, flags.human),
            // As any other command line that can't be meant.
            Err(refusal) => {
                eprintln!("reelmap: {refusal}");
                return ExitCode::from(2);
            }
        },
        Command::Info(flags) => seek::command::ask(&flags.file, &Question::Info, flags.human),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reelmap: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn moments(flags: &config::At) -> Result<Question, seek::Refusal> {
    let meaning = if flags.tc { Meaning::Own } else { Meaning::Elapsed };
    Question::moments(meaning, flags.timecodes.clone(), flags.size)
}

fn run(flags: config::Serve) -> Result<()> {
    let config = Config::new(flags, raise_descriptors())?;
    let _log = telemetry::log_to_stderr(config.log_level);
    let (access_log, _lines) = match config.access_log {
        LineFormat::Off => None,
        LineFormat::Text => Some(AccessLog::text()),
        LineFormat::Json => Some(AccessLog::json()),
    }
    .unzip();
    // One thread needs no queues that others could take work from.
    let mut runtime = match config.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime
        .worker_threads(config.threads)
        .max_blocking_threads(serve::WAITING_THREADS)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let outcome = runtime.block_on(serve_until_told(config, access_log.unwrap_or(AccessLog::Off)));
    // Answers that are cut now are still logged; a disk that doesn't answer holds nobody up long.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve_until_told(config: Config, access_log: AccessLog) -> Result<()> {
    let mut signals = Signals::new()?;
    // A write beyond the limit of a file's size (RLIMIT_FSIZE) would end the process; so it fails. Nobody listens.
    let _ = signal(SignalKind::from_raw(process::Signal::XFSZ.as_raw()))?;
    let listeners =
        config.listen.iter().map(|at| serve::listen(*at)).collect::<Result<Vec<_>>>()?;
    let urls = listeners.iter().map(|listener| Ok(format!("http://{}/", listener.local_addr()?)));
    let urls = urls.collect::<Result<Vec<_>>>()?.join(" and ");
    let root = config.root.display().to_string();
    let app = serve::App::new(config, access_log)?;
    tracing::info!("serving {root} at {urls}");
    serve::run(listeners, app, async move {
        signals.next().await;
        tracing::info!("stopping: answers under way may finish, a second signal ends them");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(1);
        });
    })
    .await;
    Ok(())
}

/// A value of this type hears the signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Signals { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Raises the number of files this process may open as far as it may, and tells it.
fn raise_descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}
