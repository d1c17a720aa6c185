//! Folders: a page for people, JSON for programs, of what is served and nothing else.

mod support;

use serde_json::Value;
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};
use support::{Response, stage::Stage};

impl Stage {
    fn new() -> Stage {
        Stage::with(&[])
    }

    fn with(flags: &[&str]) -> Stage {
        let files: [(&str, &[u8]); 3] =
            [("film.mp4", b"film"), ("notes.txt", b"notes"), ("folder/deep.mp4", b"deep")];
        let stage = Stage::of(&files, flags);
        fs::create_dir(stage.path("folder/deeper")).unwrap();
        stage
    }

    fn ask(&self, path: &str, accept: &str) -> Response {
        self.server.ask(&format!("GET {path} HTTP/1.1\nAccept: {accept}"))
    }

    fn json(&self, path: &str) -> Value {
        let answer = self.ask(path, "application/json");
        assert_eq!(answer.header("content-type"), "application/json");
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let listing = self.json(path);
        let entries = listing["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a browser asks for.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn people_get_a_page() {
    let stage = Stage::new();
    for accept in [BROWSER, "*/*", "text/html, application/json"] {
        let answer = stage.ask("/", accept);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        assert!(answer.text().contains("href=\"./film.mp4\""), "{}", answer.text());
    }
}

#[test]
fn programs_get_json() {
    let stage = Stage::new();
    let listing = stage.json("/");
    let film = &listing["entries"][1];
    assert_eq!((&listing["path"], &listing["truncated"]), (&"/".into(), &false.into()));
    assert_eq!((&film["name"], &film["href"]), (&"film.mp4".into(), &"./film.mp4".into()));
    assert_eq!((&film["type"], &film["length"]), (&"file".into(), &4.into()));
    assert_eq!(film["content_type"], "video/mp4");
    assert!(film["modified"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn folders_come_first() {
    assert_eq!(Stage::new().names("/"), ["folder", "film.mp4", "notes.txt"]);
}

#[test]
fn both_forms_say_that_they_vary_and_may_change() {
    let stage = Stage::new();
    for accept in [BROWSER, "application/json"] {
        let answer = stage.ask("/", accept);
        assert_eq!(answer.header("vary"), "Accept", "{accept}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{accept}");
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let stage = Stage::new();
    let answer = stage.ask("/", BROWSER);
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(!answer.text().contains("=\"http") && !answer.text().contains("=\"//"));
}

#[test]
fn head_of_a_listing_is_its_head() {
    let stage = Stage::new();
    let (head, get) = (stage.server.ask("HEAD / HTTP/1.1"), stage.server.get("/"));
    assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
}

#[test]
fn no_listing_turns_it_off() {
    let stage = Stage::with(&["--no-listing"]);
    for path in ["/", "/folder/", "/folder", "/none/"] {
        for accept in [BROWSER, "application/json"] {
            let answer = stage.ask(path, accept);
            assert_eq!((answer.status, answer.header("location")), (404, ""), "{path}");
            assert!(!answer.text().contains("deep"));
        }
    }
    assert_eq!(stage.server.get("/folder/deep.mp4").text(), "deep");
}

#[test]
fn an_index_html_is_a_file_like_others() {
    let stage = Stage::new();
    fs::write(stage.path("index.html"), "not the listing").unwrap();
    assert!(stage.server.get("/").text().contains("href=\"./index.html\""));
    assert_eq!(stage.server.get("/index.html").text(), "not the listing");
}

#[test]
fn what_is_not_served_is_not_listed() {
    let stage = Stage::new();
    fs::write(stage.path(".hidden"), "hidden").unwrap();
    stage.link("../secret", "out");
    stage.link("/etc", "etc");
    stage.link("..", "above");
    stage.link("none", "dangling");
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, stage.path("fifo"), fifo, mode, 0).unwrap();
    assert_eq!(stage.names("/"), ["folder", "film.mp4", "notes.txt"]);
}

#[test]
fn links_that_stay_inside_are_listed_as_what_they_lead_to() {
    let stage = Stage::new();
    stage.link("folder", "link");
    stage.link("../film.mp4", "folder/up.mp4");
    assert_eq!(stage.names("/"), ["folder", "link", "film.mp4", "notes.txt"]);
    assert_eq!(stage.names("/link/"), ["deeper", "deep.mp4", "up.mp4"]);
    assert_eq!(stage.json("/folder/")["entries"][2]["length"], 4);
}

#[test]
fn hostile_names_come_back_by_their_links() {
    let stage = Stage::new();
    let names: [&[u8]; 12] = [
        b"<script>alert(1)<",
        b"\"><img src=x>.mp4",
        b"' onclick='x",
        b"a#b?c.mp4",
        b"100%.mp4",
        b"%2e%2e%2f",
        b" a b ",
        "영상 🎬.mp4".as_bytes(),
        b"\xff\xfe.mp4",
        b"a\nb",
        b"javascript:x",
        b"a\\b&amp;",
    ];
    for name in names {
        fs::write(stage.path("folder").join(OsStr::from_bytes(name)), name).unwrap();
    }
    let listing = stage.json("/folder/");
    let hrefs = listing["entries"].as_array().unwrap().iter();
    let hrefs = hrefs.map(|entry| entry["href"].as_str().unwrap().strip_prefix("./").unwrap());
    let mut got: Vec<_> = hrefs
        .filter(|href| !href.starts_with("deep"))
        .map(|href| stage.server.get(&format!("/folder/{href}")).body)
        .collect();
    let mut expected = names.map(<[u8]>::to_vec);
    got.sort();
    expected.sort();
    assert_eq!(got, expected);
}

#[test]
fn hostile_names_do_not_break_out_of_the_page() {
    let stage = Stage::new();
    fs::write(stage.path("<img src=x onerror=alert(1)>"), "").unwrap();
    fs::create_dir(stage.path("\"><script>alert(1)<")).unwrap();
    for path in ["/", "/%22%3E%3Cscript%3Ealert(1)%3C/"] {
        let page = stage.server.get(path);
        assert_eq!(page.status, 200);
        assert!(!page.text().contains("<img") && !page.text().contains("<script>alert"), "{path}");
    }
}

#[test]
fn breadcrumbs_lead_up() {
    let stage = Stage::new();
    let page = stage.server.get("/folder/deeper/");
    assert!(page.text().contains("href=\"./../\""), "{}", page.text());
    assert!(page.text().contains("href=\"./../../\""), "{}", page.text());
}

#[test]
fn a_folder_that_is_empty_has_a_page() {
    let stage = Stage::new();
    assert_eq!(stage.names("/folder/deeper/"), [""; 0]);
    assert_eq!(stage.server.get("/folder/deeper/").status, 200);
}

#[test]
fn a_new_file_is_listed_at_once() {
    let stage = Stage::new();
    assert_eq!(stage.names("/").len(), 3);
    fs::write(stage.path("new.mp4"), "").unwrap();
    assert_eq!(stage.names("/").len(), 4);
}
