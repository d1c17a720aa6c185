//! What does receiving a file cost? One PUT at a time, by curl, into reelmap and into nginx's WebDAV
//! module, in turn: processor time a GiB, and how much memory grows.
//!
//! `cargo bench --bench receive -- [--rounds 7] [--mib 1024]`

mod support;

use clap::Parser;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};
use support::{load::film, machine, median, peers::Running};

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// What is sent, in MiB
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// What `cargo bench` passes
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    println!("machine: {}", machine::describe());
    println!("{}", machine::version("nginx", "-v").expect("nginx is installed"));
    let source = film(options.mib << 20);
    let film = source.path().join("film.mp4");
    let into = tempfile::tempdir().unwrap();
    fs::set_permissions(into.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let servers = [
        ("reelmap", Running::start_as("reelmap", "0", |_, at| reelmap(into.path(), at))),
        ("nginx", Running::start_as("nginx", "0", |place, at| nginx(place, into.path(), at))),
    ];
    support::pin(1);
    let mut costs = [Vec::new(), Vec::new()];
    let mut grown = [0, 0];
    for round in 0..=options.rounds {
        for (which, (name, server)) in servers.iter().enumerate() {
            let url = format!("http://{}/{name}.mp4", server.address);
            let memory = machine::resident_kib(server.pid()).0;
            let cpu = machine::cpu_seconds(server.pid());
            put(&film, &url);
            let cpu = machine::cpu_seconds(server.pid()) - cpu;
            let after = machine::resident_kib(server.pid()).0;
            fs::remove_file(into.path().join(format!("{name}.mp4"))).unwrap();
            // The first is for what is set up once.
            if round > 0 {
                costs[which].push(cpu / options.mib as f64 * 1024.0);
                grown[which] = grown[which].max(after.saturating_sub(memory));
            }
        }
    }
    println!("{:10} {:>12} {:>10} {:>10} {:>14}", "", "cpu s/GiB", "least", "most", "grew by KiB");
    for (which, (name, _)) in servers.iter().enumerate() {
        let cost = &costs[which];
        let least = cost.iter().copied().fold(f64::INFINITY, f64::min);
        let most = cost.iter().copied().fold(0.0, f64::max);
        println!("{name:10} {:12.3} {least:10.3} {most:10.3} {:14}", median(cost), grown[which]);
    }
    println!("reelmap to nginx: {:.2}", median(&costs[0]) / median(&costs[1]));
}

fn put(film: &Path, url: &str) {
    let curl = Command::new("curl")
        .args(["-sf", "-o", "/dev/null", "-H", "Expect:", "-T", film.to_str().unwrap(), url])
        .stdin(Stdio::null())
        .status();
    assert!(curl.expect("curl is installed").success(), "{url} did not take it");
}

fn reelmap(root: &Path, address: SocketAddr) -> Vec<String> {
    let reelmap = env!("CARGO_BIN_EXE_reelmap");
    let root = root.display();
    let line = format!(
        "{reelmap} serve {root} --listen {address} --threads 1 --ingest . --access-log off \
         --log-level error"
    );
    line.split_whitespace().map(str::to_owned).collect()
}

/// Its bodies are gathered on the file system that they stay on, so that they are renamed, not copied.
fn nginx(place: &Path, root: &Path, address: SocketAddr) -> Vec<String> {
    let (at, root) = (place.display(), root.display());
    let conf = place.join("nginx.conf");
    let text = format!(
        "user root; worker_processes 1; pid {at}/pid; error_log {at}/error.log; daemon off;\n\
         events {{ worker_connections 100; }}\n\
         http {{ access_log off; client_max_body_size 0; client_body_temp_path {root}/.bodies;\n\
         proxy_temp_path {at}; fastcgi_temp_path {at}; uwsgi_temp_path {at}; scgi_temp_path {at};\n\
         server {{ listen {address}; root {root}; location / {{ dav_methods PUT; }} }} }}\n"
    );
    fs::write(&conf, text).unwrap();
    ["nginx", "-e", &format!("{at}/error.log"), "-c", conf.to_str().unwrap()]
        .map(String::from)
        .into()
}
