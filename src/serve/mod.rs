//! Where all meet: sockets in, slices of films out. The only folder that knows hyper.
//!
//! ```text
//!   mod: accept ─> transport ─> hyper ─> service: route ─> store ─> plan
//!                      ▲                                              │
//!                      └── slices ── hyper <── body: spans <──────────┘
//! ```

mod answer;
mod body;
mod denials;
mod edge;
mod exchange;
mod framing;
mod growth;
mod host;
mod indexed;
mod indexes;
mod ingest;
mod ledger;
mod listing;
mod live;
mod off_runtime;
mod refusal;
mod seeking;
mod service;
mod steady;
mod transport;
mod turns;

pub use self::off_runtime::WAITING_THREADS;
use self::{
    denials::Denials,
    edge::Edges,
    exchange::Connection,
    growth::Growths,
    indexes::Indexes,
    ledger::Ledger,
    listing::Listings,
    off_runtime::{OffRuntime, Threads},
    refusal::Refusing,
    service::{Detail, Service},
    transport::{Sockets, Transport},
    turns::Turns,
};
use crate::{
    config::Config,
    live::{Follower, Streams},
    pages,
    store::{Cache, Disks, Root},
    telemetry::{AccessLog, Line, Metrics, metrics::SentBy},
};
use anyhow::{Context, Result};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use socket2::SockRef;
use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

/// Connections that the kernel finishes and keeps until they are accepted.
const BACKLOG: u32 = 4096;

/// How often what was received is made to outlast a loss of power.
const SYNC: Duration = Duration::from_secs(5);

/// How often what waits for too long is looked for.
const EXPIRE: Duration = Duration::from_secs(3600);

/// How long streams that are cut at the server's end have to be finished; else the next process does it.
const FINISH: Duration = Duration::from_secs(5);

/// How often files that are gone are let go of.
const SWEEP: Duration = Duration::from_secs(10);

/// A value of this type is what all connections share.
pub struct App {
    config: Config,
    cache: Cache<Detail>,
    indexes: Indexes,
    turns: Turns,
    streams: Arc<Streams>,
    placing: ingest::Placing,
    receiving: ingest::Rooms,
    growths: Growths,
    edges: Edges,
    denials: Denials,
    follower: Follower,
    metrics: Metrics,
    access_log: AccessLog,
    sockets: Sockets,
    threads: Threads,
    /// Tells those who receive that the server ends.
    stopping: watch::Sender<bool>,
    listings: Listings,
}

impl App {
    /// Opens the root that `config` names, and takes up what was being received when another process
    /// ended. Waits for the disk.
    pub fn new(config: Config, access_log: AccessLog) -> Result<App> {
        let root = Root::open(&config.root)
            .with_context(|| format!("cannot open the folder {}", config.root.display()))?;
        let cache = Cache::new(root, config.open_files, Detail::of);
        let streams = ingest::streams(&config.ingest, cache.root(), cache.census())?;
        Ok(App {
            indexes: Indexes::new(config.indexes, config.index_time),
            turns: Turns::new(config.index_time),
            follower: Follower::new(config.limits.followed),
            config,
            cache,
            streams,
            placing: ingest::Placing::default(),
            receiving: ingest::Rooms::default(),
            growths: Growths::default(),
            edges: Edges::default(),
            denials: Denials::default(),
            metrics: Metrics::default(),
            access_log,
            sockets: Sockets::open(),
            threads: Threads::default(),
            stopping: watch::Sender::new(false),
            listings: Listings::default(),
        })
    }
}

/// Listens at `address`.
pub fn listen(address: SocketAddr) -> Result<TcpListener> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A server that is started anew doesn't wait for its old connections to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().with_context(|| format!("cannot listen on {address}: choose another with --listen"))
}

/// Answers requests until `shutdown` is done, then lets those under way finish for as long as the
/// configuration's drain allows.
pub async fn run(listeners: Vec<TcpListener>, app: App, shutdown: impl Future<Output = ()>) {
    let app = Arc::new(app);
    let permits = Arc::new(Semaphore::new(app.config.limits.connections));
    let graceful = Arc::new(GracefulShutdown::new());
    let (mut accepting, mut tasks) = (JoinSet::new(), JoinSet::new());
    accepting.spawn(accept(listeners, app.clone(), permits, graceful.clone()));
    // These go on until the last answer has left: uploads do until then.
    tasks.spawn(sweep(app.clone(), Disks::Own));
    tasks.spawn(sweep(app.clone(), Disks::All));
    tasks.spawn(ingest::sync(app.clone(), SYNC));
    tasks.spawn(ingest::expire(app.clone(), EXPIRE));
    shutdown.await;
    accepting.shutdown().await;
    let Some(graceful) = Arc::into_inner(graceful) else { return };
    let open = graceful.count();
    if timeout(app.config.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("of {open} connections some were not done in time and are cut");
        app.stopping.send_replace(true);
        let _ = timeout(FINISH, app.stopping.closed()).await;
    }
}

async fn accept(
    listeners: Vec<TcpListener>,
    app: Arc<App>,
    permits: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
) {
    let (mut pause, mut turn) = (Duration::ZERO, 0_usize);
    loop {
        // Without a permit nothing is accepted: the client waits in the kernel's queue.
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        turn = turn.wrapping_add(1);
        match next_client(&listeners, turn).await {
            Ok((stream, peer)) => {
                pause = Duration::ZERO;
                connect(stream, peer, &app, &graceful, permit);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                pause = (pause * 2).clamp(Duration::from_millis(10), Duration::from_secs(1));
                tracing::warn!("cannot accept a connection, waiting for {pause:?}: {error}");
                sleep(pause).await;
            }
        }
    }
}

/// The next client of any listener. Each turn begins with another, so that a busy one leaves the
/// others theirs.
async fn next_client(
    listeners: &[TcpListener],
    turn: usize,
) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|cx| {
        let (before, from) = listeners.split_at(turn % listeners.len().max(1));
        let mut polled = from.iter().chain(before).map(|listener| listener.poll_accept(cx));
        polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Whether the client that was to be accepted is to blame, and the next may do better.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}

/// Serves one connection in a task of its own.
fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    app: &Arc<App>,
    graceful: &GracefulShutdown,
    permit: OwnedSemaphorePermit,
) {
    let limits = app.config.limits;
    let connection = Arc::new(Connection::new(peer));
    let ledger = Arc::new(Ledger::default());
    // The head of an answer must not wait for a lost acknowledgement (Nagle): what belongs
    // together is written together here.
    let told = stream.set_nodelay(true).and_then(|()| {
        // The kernel alone sees what a client takes of bytes that wait in the socket: a slow one
        // may empty it for minutes before it has room again, and is alive all the while.
        let patience = u32::try_from(limits.write_timeout.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&stream, patience)?;
        SockRef::from(&stream).set_tcp_notsent_lowat(transport::UNSENT)
    });
    if let Err(error) = told {
        tracing::debug!("{peer} left at once: {error}");
        return;
    }
    let transport = Transport::new(stream, connection.clone(), ledger.clone(), &app.config);
    let socket = Refusing::new(transport, ledger.clone(), app.config.cors);
    let service = Service { app: app.clone(), connection, ledger };
    let answer = hyper::service::service_fn(move |request| service.call(request));
    let serving = http1::Builder::new()
        // The transport keeps these times itself, since hyper's timer does not tell an idle client
        // from a slow one.
        .header_read_timeout(None)
        .max_header_size(limits.head)
        .max_buf_size(limits.head)
        // A client that has sent all it will (`nc -N`) still gets its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), answer);
    // On the heap, since a task would hold it twice: as what it was given and as what it waits for.
    let serving = Box::pin(graceful.watch(serving));
    let app = app.clone();
    tokio::spawn(async move {
        app.metrics.accepted.inc();
        app.metrics.connections.inc();
        let outcome = serving.await;
        app.metrics.connections.dec();
        drop(permit);
        if let Err(error) = outcome {
            report(&error, peer, &app);
        }
    });
}

/// Logs why a connection ended, at the level of a thing that clients do. What was no request, and
/// so refused before the service saw it, counts as one all the same.
fn report(error: &hyper::Error, peer: SocketAddr, app: &App) {
    tracing::debug!("the connection of {peer} ended: {error:#}");
    if error.is_parse() {
        let status = match error.is_parse_too_large() {
            true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            false => StatusCode::BAD_REQUEST,
        };
        let sent = pages::message(status).len() as u64;
        let status = status.as_u16();
        app.metrics.answered(status).inc();
        app.metrics.sent(SentBy::Composed).inc_by(sent);
        app.access_log.write(&Line {
            client: peer.ip(),
            method: "-",
            path: "-",
            status,
            sent,
            range: None,
            duration: Duration::ZERO,
            ended: "complete",
        });
    }
}

/// Lets go of files that are gone, every now and then: those of other disks don't hold up those of the own.
async fn sweep(app: Arc<App>, disks: Disks) {
    let mut rounds = interval(SWEEP);
    loop {
        rounds.tick().await;
        let sweeping = app.clone();
        let swept = OffRuntime::start_where(disks == Disks::All, &app.threads.far, move || {
            let app = sweeping;
            app.cache.sweep(disks);
            // What is known of files and streams goes with them.
            app.edges.sweep(|place| app.streams.at(place).is_some());
            app.indexes.sweep(|of| app.cache.is_alive(of) || live::grows(&app, of));
            Ok(())
        });
        if let Err(error) = swept.await {
            tracing::error!("looking for files that are gone failed: {error}");
        }
    }
}
