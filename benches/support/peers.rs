//! The servers that are compared: each on one core, serving one folder, with its access log off.

use super::machine;
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A value of this type is a server program, and how to start it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Reelmap,
    Nginx,
    /// nginx that has its thread pool read and send (`aio threads`).
    NginxAio,
    Caddy,
    Lighttpd,
    H2o,
    StaticWebServer,
}

impl Peer {
    pub const ALL: [Peer; 6] =
        [Peer::Reelmap, Peer::Nginx, Peer::Lighttpd, Peer::H2o, Peer::Caddy, Peer::StaticWebServer];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Reelmap => "reelmap",
            Peer::Nginx => "nginx",
            Peer::NginxAio => "nginx aio threads",
            Peer::Caddy => "caddy",
            Peer::Lighttpd => "lighttpd",
            Peer::H2o => "h2o",
            Peer::StaticWebServer => "static-web-server",
        }
    }

    /// Its version; `None` where it isn't installed.
    pub fn version(self) -> Option<String> {
        match self {
            Peer::Reelmap => Some(format!("reelmap {}", env!("CARGO_PKG_VERSION"))),
            Peer::Nginx | Peer::NginxAio => machine::version("nginx", "-v"),
            Peer::Caddy => machine::version("caddy", "version").map(|v| format!("caddy {v}")),
            Peer::Lighttpd => machine::version("lighttpd", "-v"),
            Peer::H2o => machine::version("h2o", "-v"),
            Peer::StaticWebServer => machine::version("static-web-server", "--version"),
        }
    }
}

/// A value of this type is a server that runs until it is dropped.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
    _workplace: tempfile::TempDir,
}

impl Running {
    /// Starts `peer` over `root` on core `core`; its access log goes to `log`, or nowhere.
    pub fn start(peer: Peer, root: &Path, core: usize, log: bool) -> Running {
        Running::start_as(peer.name(), &core.to_string(), |workplace, address| {
            command(peer, root, workplace, address, log)
        })
    }

    /// Starts what `command` makes of a folder of its own and an address, on some cores.
    pub fn start_as(
        name: &str,
        cores: &str,
        command: impl Fn(&Path, SocketAddr) -> Vec<String>,
    ) -> Running {
        let workplace = tempfile::tempdir().unwrap();
        fs::set_permissions(workplace.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let address = free_address();
        let arguments = command(workplace.path(), address);
        let mut command = Command::new("taskset");
        command.arg("-c").arg(cores).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("taskset (util-linux) starts the servers");
        let running = Running { child, address, _workplace: workplace };
        wait_until_up(address, name);
        running
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Waits until a server answers at `address`.
pub fn wait_until_up(address: SocketAddr, name: &str) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{name} did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn command(
    peer: Peer,
    root: &Path,
    workplace: &Path,
    address: SocketAddr,
    log: bool,
) -> Vec<String> {
    let (root, port) = (root.display(), address.port());
    let at = workplace.display();
    let write = |name: &str, text: String| -> PathBuf {
        let path = workplace.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let line = match peer {
        Peer::Reelmap => {
            let reelmap = env!("CARGO_BIN_EXE_reelmap");
            let log = if log { "text" } else { "off" };
            format!(
                "{reelmap} serve {root} --listen {address} --threads 1 --access-log {log} \
                 --log-level error"
            )
        }
        Peer::Nginx | Peer::NginxAio => {
            let aio = if peer == Peer::NginxAio { "threads" } else { "off" };
            let log = if log { format!("{at}/access.log") } else { "off".into() };
            let conf = write(
                "nginx.conf",
                format!(
                    "user root; worker_processes 1; pid {at}/pid; error_log {at}/error.log;\n\
                     worker_rlimit_nofile 20000; daemon off;\n\
                     events {{ worker_connections 15000; }}\n\
                     http {{ access_log {log}; sendfile on; aio {aio}; tcp_nopush on; tcp_nodelay on;\n\
                     keepalive_requests 1000000000; keepalive_timeout 600s;\n\
                     open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;\n\
                     client_body_temp_path {at}; proxy_temp_path {at}; fastcgi_temp_path {at};\n\
                     uwsgi_temp_path {at}; scgi_temp_path {at};\n\
                     types {{ video/mp4 mp4; }}\n\
                     server {{ listen {address} backlog=4096; root {root}; }} }}\n"
                ),
            );
            format!("nginx -e {at}/error.log -c {}", conf.display())
        }
        Peer::Caddy => {
            let log = if log {
                format!("log {{\noutput file {at}/access.log\n}}\n")
            } else {
                String::new()
            };
            let conf = write(
                "Caddyfile",
                format!(
                    "{{\nadmin off\nauto_https off\nstorage file_system {at}\nlog {{\nlevel ERROR\n}}\n}}\n\
                     http://:{port} {{\nbind 127.0.0.1\nroot * {root}\nfile_server\n{log}}}\n"
                ),
            );
            format!("caddy run --adapter caddyfile --config {}", conf.display())
        }
        Peer::Lighttpd => {
            let log = if log {
                format!(
                    "server.modules += (\"mod_accesslog\")\naccesslog.filename = \"{at}/access.log\"\n"
                )
            } else {
                String::new()
            };
            let conf = write(
                "lighttpd.conf",
                format!(
                    "server.document-root = \"{root}\"\nserver.port = {port}\n\
                     server.bind = \"127.0.0.1\"\nserver.network-backend = \"sendfile\"\n\
                     server.max-fds = 20000\nserver.max-connections = 10000\n\
                     server.max-keep-alive-requests = 1000000000\nserver.max-keep-alive-idle = 600\n\
                     server.errorlog = \"{at}/error.log\"\nserver.listen-backlog = 4096\n\
                     mimetype.assign = (\".mp4\" => \"video/mp4\")\n{log}"
                ),
            );
            format!("lighttpd -D -f {}", conf.display())
        }
        Peer::H2o => {
            let log = if log { format!("access-log: {at}/access.log\n") } else { String::new() };
            let conf = write(
                "h2o.conf",
                format!(
                    "user: root\nnum-threads: 1\nmax-connections: 15000\n\
                     http1-request-timeout: 600\n\
                     listen:\n  host: 127.0.0.1\n  port: {port}\n{log}\
                     hosts:\n  default:\n    paths:\n      /:\n        file.dir: {root}\n"
                ),
            );
            format!("h2o -c {}", conf.display())
        }
        Peer::StaticWebServer => {
            let level = if log { "info" } else { "error" };
            format!(
                "static-web-server --host 127.0.0.1 --port {port} --root {root} \
                 --threads-multiplier 1 --log-level {level} --cache-control-headers false"
            )
        }
    };
    line.split(' ').map(str::to_owned).collect()
}
