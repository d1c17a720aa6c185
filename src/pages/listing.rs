//! One folder as a page and as JSON. It is handed the entries: it never reads a folder, and it
//! trusts no name in it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use askama::Template;
use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::order::Natural;
use super::{Kind, human, segment};

/// The page's only style and script, put in as they are, so their hashes are those of the files.
const STYLE: &str = include_str!("listing.css");
const SCRIPT: &str = include_str!("listing.js");

/// A listing is the entries of one folder, in the order they are shown.
///
/// Its links are relative and begin with `./`, so it must be served at a URL that ends in `/`;
/// then it works behind any prefix, and no name is taken for a scheme.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The segments below the root; none for the root itself.
    pub path: Vec<OsString>,
    pub entries: Vec<Entry>,
    /// There are more entries than these.
    pub truncated: bool,
}

/// An entry is a name in a folder, and what is known of it without opening it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Any bytes but `/` and NUL: Linux asks no more of a name.
    pub name: OsString,
    pub node: Node,
    pub modified: SystemTime,
    /// It is still being received.
    pub stream: Option<Stream>,
}

/// A stream is a file that isn't all there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Since it began.
    pub age: Duration,
    /// More is coming in; else it waits to be gone on with.
    pub live: bool,
}

/// A node is what a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Folder,
    File { length: u64, content_type: Cow<'static, str> },
}

impl Entry {
    pub fn kind(&self) -> Kind {
        match &self.node {
            Node::Folder => Kind::Folder,
            Node::File { content_type, .. } => Kind::of(content_type),
        }
    }

    /// The link to it from its folder's page.
    fn href(&self) -> String {
        let end = match self.stream {
            _ if self.node == Node::Folder => "/",
            // Who opens it wants to see what happens now.
            Some(Stream { live: true, .. }) => "?from=live",
            _ => "",
        };
        format!("./{}{end}", segment(&self.name))
    }
}

impl Listing {
    /// Folders first, then by name as people count: `take 2` before `take 10`, whatever the case.
    pub fn sort(&mut self) {
        self.entries.sort_by_cached_key(|e| (e.node != Node::Folder, Natural::of(&e.name)));
    }

    /// The page, to be sent with [`content_security_policy`](super::content_security_policy).
    pub fn html(&self) -> Bytes {
        let page = Page {
            here: self.path.last().map(|name| human::name(name)),
            above: self.above(),
            entries: &self.entries,
            summary: self.summary(),
            truncated: self.truncated,
        };
        compact(page.render().expect("a String takes all that is written to it").into_bytes())
    }

    /// The same for programs. `name` and `path` are text, with U+FFFD for what isn't UTF-8;
    /// `href`, resolved against the listing's own URL, is exact.
    pub fn json(&self) -> Bytes {
        let mut path = String::from("/");
        for name in &self.path {
            path.push_str(&name.to_string_lossy());
            path.push('/');
        }
        let folder = Folder { path, entries: &self.entries, truncated: self.truncated };
        super::json(&folder)
    }

    /// `2 folders, 13 files`
    fn summary(&self) -> String {
        let folders = self.entries.iter().filter(|e| e.node == Node::Folder).count();
        let files = self.entries.len() - folders;
        let counts = [(folders, "folder"), (files, "file")].map(|(n, what)| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            _ => Some(format!("{n} {what}s")),
        });
        match counts.into_iter().flatten().reduce(|folders, files| format!("{folders}, {files}")) {
            Some(text) => text,
            None => "This folder is empty.".to_owned(),
        }
    }

    /// The folders above this one, from the root down.
    fn above(&self) -> Vec<Crumb> {
        let names =
            std::iter::once("Files".to_owned()).chain(self.path.iter().map(|n| human::name(n)));
        let depth = self.path.len();
        let up = |level| format!("./{}", "../".repeat(depth - level));
        names.take(depth).enumerate().map(|(at, name)| Crumb { name, href: up(at) }).collect()
    }
}

/// A page that takes no more memory than it has bytes: it may wait long for a slow client.
fn compact(page: Vec<u8>) -> Bytes {
    Bytes::from(page.into_boxed_slice())
}

/// Its rows are made one at a time as they are written: ten thousand at once would take as much
/// memory again as the page.
#[derive(Template)]
#[template(path = "pages/listing.html")]
struct Page<'a> {
    /// The folder's own name; none at the root.
    here: Option<String>,
    above: Vec<Crumb>,
    entries: &'a [Entry],
    summary: String,
    truncated: bool,
}

struct Crumb {
    name: String,
    href: String,
}

struct Row<'a> {
    kind: Kind,
    href: String,
    name: String,
    length: Option<u64>,
    /// By which the script tells what the browser can't play.
    content_type: &'a str,
    modified: Option<human::Moment>,
    /// What a stream is at.
    stream: Option<String>,
}

impl Row<'_> {
    fn of(entry: &Entry) -> Row<'_> {
        let (length, content_type) = match &entry.node {
            Node::Folder => (None, ""),
            Node::File { length, content_type } => (Some(*length), &**content_type),
        };
        Row {
            content_type,
            kind: entry.kind(),
            href: entry.href(),
            name: human::name(&entry.name),
            length,
            modified: human::Moment::of(entry.modified),
            stream: entry.stream.map(|stream| match stream.live {
                true => format!("live for {}", human::span(stream.age)),
                false => "not whole".to_owned(),
            }),
        }
    }

    /// The script plays it in the page; without the script the link opens it.
    fn plays(&self) -> bool {
        matches!(self.kind, Kind::Video | Kind::Audio)
    }
}

#[derive(Serialize)]
struct Folder<'a> {
    path: String,
    #[serde(serialize_with = "items")]
    entries: &'a [Entry],
    truncated: bool,
}

/// An item is an entry in JSON. A folder has no `length` and no `content_type`; a time beyond the
/// calendar is null.
#[derive(Serialize)]
struct Item<'a> {
    name: Cow<'a, str>,
    href: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Live>,
}

/// What JSON says of a stream: whether more is coming in, and its age in seconds.
#[derive(Serialize)]
struct Live {
    live: bool,
    age: f64,
}

fn items<S: Serializer>(entries: &[Entry], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(entries.iter().map(Item::of))
}

impl Item<'_> {
    fn of(entry: &Entry) -> Item<'_> {
        let (r#type, length, content_type) = match &entry.node {
            Node::Folder => ("folder", None, None),
            Node::File { length, content_type } => ("file", Some(*length), Some(&**content_type)),
        };
        Item {
            name: entry.name.to_string_lossy(),
            href: entry.href(),
            r#type,
            length,
            modified: human::Moment::of(entry.modified).map(human::Moment::nanos),
            content_type,
            stream: entry
                .stream
                .map(|stream| Live { live: stream.live, age: stream.age.as_secs_f64() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::time::UNIX_EPOCH;

    use base64::{Engine, engine::general_purpose::STANDARD};
    use percent_encoding::percent_decode_str;
    use serde_json::Value;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::pages::content_security_policy;

    const HOSTILE: &[&[u8]] = &[
        b"<script>alert(1)</script>",
        b"\"><img src=x onerror=alert(1)>.mp4",
        b"' onmouseover='x",
        b"a & b &lt; &#60;",
        b"#play=x&t=1",
        b"100%",
        b"%2e%2e%2f",
        b"what?",
        b" spaces  inside ",
        b"new\nline\ttab\r",
        "영상 – 한글.mp4".as_bytes(),
        "🎬🇰🇷.webm".as_bytes(),
        "\u{202e}4pm.exe".as_bytes(),
        b"caf\xe9 \xff\xfe.mkv",
        b"-rf",
        b"javascript:alert(1)",
        b"a:b",
        b"...",
        b"\\back\\slash",
        b"{{ name }}",
        b"</style></title>",
    ];

    fn file(name: &[u8], length: u64, content_type: &'static str) -> Entry {
        Entry {
            name: OsStr::from_bytes(name).to_owned(),
            node: Node::File { length, content_type: content_type.into() },
            modified: UNIX_EPOCH + Duration::new(1_795_338_971, 123_456_789),
            stream: None,
        }
    }

    fn folder(name: &[u8]) -> Entry {
        Entry { node: Node::Folder, ..file(name, 0, "") }
    }

    fn listing(path: &[&[u8]], entries: Vec<Entry>) -> Listing {
        let path = path.iter().map(|name| OsStr::from_bytes(name).to_owned()).collect();
        Listing { path, entries, truncated: false }
    }

    fn hostile() -> Listing {
        let files = HOSTILE.iter().map(|name| file(name, 7, "video/mp4"));
        let folders = HOSTILE.iter().map(|name| folder(name));
        listing(HOSTILE, files.chain(folders).collect())
    }

    fn html(listing: &Listing) -> String {
        String::from_utf8(listing.html().to_vec()).unwrap()
    }

    fn json(listing: &Listing) -> Value {
        serde_json::from_slice(&listing.json()).unwrap()
    }

    fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
        text.split(open).skip(1).map(|rest| rest.split(close).next().unwrap()).collect()
    }

    #[test]
    fn links_lead_to_the_very_bytes() {
        let page = html(&hostile());
        let links = between(&page, "<a href=\"", "\"");
        // The folders above, the parent, then each name as a file and as a folder.
        let (above, entries) = links.split_at(HOSTILE.len() + 1);
        assert_eq!(above.last(), Some(&"./../"));
        assert!(above.iter().all(|link| link.starts_with("./../")), "{above:?}");
        assert_eq!(entries.len(), 2 * HOSTILE.len());
        for (at, link) in entries.iter().enumerate() {
            let name = link.strip_prefix("./").unwrap();
            let name = if at < HOSTILE.len() { name } else { name.strip_suffix('/').unwrap() };
            let bytes: Vec<u8> = percent_decode_str(name).collect();
            assert_eq!(bytes, HOSTILE[at % HOSTILE.len()]);
        }
    }

    #[test]
    fn no_name_becomes_markup() {
        let page = html(&hostile());
        let empty = html(&listing(&[b"x"], vec![file(b"x", 7, "video/mp4"), folder(b"x")]));
        let shape = |page: &str| {
            let mut tags: Vec<_> = between(page, "<", ">")
                .iter()
                .map(|tag| tag.split([' ', '\n']).next().unwrap().to_owned())
                .collect();
            tags.sort();
            tags.dedup();
            tags
        };
        assert_eq!(shape(&page), shape(&empty));
        for name in HOSTILE {
            let name = human::name(OsStr::from_bytes(name));
            assert!(!name.contains(['<', '"', '\'']) || !page.contains(&name), "{name}");
        }
        for name in between(&page, "<bdi>", "</bdi>") {
            assert!(!name.contains(['<', '>', '"', '\'', '\n', '\r']), "{name:?}");
        }
    }

    #[test]
    fn the_page_needs_nothing_its_policy_forbids() {
        let page = html(&hostile());
        let hash = |tag: &str| {
            let inline = between(&page, &format!("<{tag}>"), &format!("</{tag}>"));
            let [text] = inline[..] else { panic!("one inline {tag}, not {}", inline.len()) };
            format!("{tag}-src 'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
        };
        let directives: Vec<_> = content_security_policy().split("; ").collect();
        assert_eq!(directives[1..3], [hash("style"), hash("script")]);
        let page = html(&listing(&[b"a"], vec![file(b"b", 1, "video/mp4"), folder(b"c")]));
        for forbidden in [" style=", " on", " src=", "<link", "http:", "https:", "data:"] {
            let (head, script) = page.split_once("<script>").unwrap();
            let body = head.split_once("</style>").unwrap().1;
            assert!(!body.contains(forbidden), "{forbidden}");
            assert!(!script.contains("innerHTML") && !script.contains("setAttribute('style"));
        }
    }

    #[test]
    fn the_policy_can_be_a_header() {
        http::HeaderValue::from_static(content_security_policy());
    }

    #[test]
    fn folders_come_first_then_names_as_people_count() {
        let mut listing = listing(
            &[],
            vec![
                file(b"take 10.mp4", 1, "video/mp4"),
                file(b"Take 2.mp4", 1, "video/mp4"),
                folder(b"zebra"),
                file(b"take 1.mp4", 1, "video/mp4"),
                folder(b"Alps"),
            ],
        );
        listing.sort();
        let names: Vec<_> = listing.entries.iter().map(|e| e.name.to_str().unwrap()).collect();
        assert_eq!(names, ["Alps", "zebra", "take 1.mp4", "Take 2.mp4", "take 10.mp4"]);
    }

    #[test]
    fn json_says_what_is_there() {
        let entries = vec![folder(b"B roll"), file(b"1.mp4", 5_000_000_000, "video/mp4")];
        let expected = serde_json::json!({
            "path": "/a/b c/",
            "entries": [
                {
                    "name": "B roll", "href": "./B%20roll/", "type": "folder",
                    "modified": "2026-11-22T09:16:11.123456789Z",
                },
                {
                    "name": "1.mp4", "href": "./1.mp4", "type": "file",
                    "length": 5_000_000_000_u64,
                    "modified": "2026-11-22T09:16:11.123456789Z",
                    "content_type": "video/mp4",
                },
            ],
            "truncated": false,
        });
        assert_eq!(json(&listing(&[b"a", b"b c"], entries)), expected);
    }

    #[test]
    fn json_survives_any_name() {
        let json = json(&hostile());
        for (entry, name) in json["entries"].as_array().unwrap().iter().zip(HOSTILE) {
            assert_eq!(entry["name"], *String::from_utf8_lossy(name));
            let href = entry["href"].as_str().unwrap().strip_prefix("./").unwrap();
            assert_eq!(percent_decode_str(href).collect::<Vec<u8>>(), *name);
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_left_out() {
        let modified = UNIX_EPOCH + Duration::from_secs(1 << 62);
        let listing = listing(&[], vec![Entry { modified, ..file(b"x", 1, "video/mp4") }]);
        assert_eq!(json(&listing)["entries"][0]["modified"], Value::Null);
        assert!(!html(&listing).contains("<time"));
    }

    #[test]
    fn only_video_and_audio_play_in_the_page() {
        for (content_type, plays) in [
            ("video/mp4", Some("video")),
            ("audio/mpeg", Some("audio")),
            ("image/png", None),
            ("text/html", None),
        ] {
            let page = html(&listing(&[], vec![file(b"x", 1, content_type)]));
            let play = between(&page, "<a href=\"./x\" data-play=\"", "\"");
            assert_eq!(play.first().copied(), plays, "{content_type}");
        }
    }

    #[test]
    fn crumbs_climb_to_the_root() {
        let page = html(&listing(&[b"a", b"b", b"c"], vec![]));
        assert_eq!(
            between(&page, "<a href=\"", "\""),
            ["./../../../", "./../../", "./../", "./../"]
        );
        assert_eq!(between(&page, "<bdi>", "</bdi>"), ["Files", "a", "b", "c"]);
        assert!(page.contains("<title>c – reelmap</title>"));
    }

    #[test]
    fn the_root_has_nothing_above() {
        let page = html(&listing(&[], vec![]));
        assert!(page.contains("<title>reelmap</title>") && page.contains("This folder is empty."));
        assert!(!page.contains("<nav") && !page.contains("<table"));
    }

    #[test]
    fn a_cut_listing_says_so() {
        let cut = Listing { truncated: true, ..listing(&[], vec![file(b"x", 1, "video/mp4")]) };
        assert!(html(&cut).contains("There is more in this folder"));
        assert_eq!(json(&cut)["truncated"], true);
    }

    #[test]
    fn a_stream_is_shown_as_one_and_opened_at_its_edge() {
        let age = Duration::from_millis(3_725_500);
        let stream =
            |live| Entry { stream: Some(Stream { age, live }), ..file(b"x", 1, "video/mp4") };
        let page = html(&listing(&[], vec![stream(true)]));
        assert!(page.contains("href=\"./x?from=live\"") && page.contains("live for 1:02:05"));
        let left = html(&listing(&[], vec![stream(false)]));
        assert!(left.contains("href=\"./x\"") && left.contains("not whole"), "{left}");
        let json = json(&listing(&[], vec![stream(true)]));
        let expected = serde_json::json!({"live": true, "age": 3725.5});
        assert_eq!(json["entries"][0]["stream"], expected);
    }

    #[test]
    fn a_row_shows_the_size_and_holds_the_bytes() {
        let page = html(&listing(&[], vec![file(b"x", 5_000_000_000, "video/mp4")]));
        let size = "<data value=\"5000000000\" title=\"5,000,000,000 bytes\">4.7 GiB</data>";
        assert!(page.contains(size));
        assert!(page.contains("<time datetime=\"2026-11-22T09:16:11Z\">2026-11-22 09:16</time>"));
    }
}
