//! Rules of the source itself: who may use whom, how a file opens, how long it may be. It reads
//! text and runs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The most lines a file may have; one that outgrows them becomes a folder of the same name.
const ROOM: usize = 600;

/// A value of this type is a Rust file: its path from the package's top, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code, without what follows `//`; a URL in a string loses its end, no more.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or_default())
    }

    /// The module of the crate that it belongs to.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split(['/', '.']).next().unwrap())
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| top.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn all() -> Vec<Source> {
    sources(&["src", "tests", "benches", "fuzz/fuzz_targets"])
}

/// What each module may use of the crate, beside itself: the table of ARCHITECTURE.md.
fn may_use() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("## Who may use whom").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    // Every other piece between backticks is a name.
    let names = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(String::from).collect()
    };
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let mut cells = row.split('|').skip(1).map(names);
        let (modules, may) = (cells.next().unwrap(), cells.next().unwrap());
        modules.into_iter().map(move |module| (module, may.clone()))
    })
    .collect()
}

/// The modules of the crate that `code` names: `crate::a::B`, `crate::{a, b::{C, D}}`, and in the
/// program `reelmap::a`.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for after in code.replace("reelmap::", "crate::").split("crate::").skip(1) {
        let Some(group) = after.trim_start().strip_prefix('{') else {
            used.insert(word(after));
            continue;
        };
        let (mut depth, mut name) = (1, String::new());
        for letter in group.chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => used.extend([word(&std::mem::take(&mut name))]),
                _ if depth == 1 => name.push(letter),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        used.insert(word(&name));
    }
    used.remove("");
    used
}

/// The identifier that `text` begins with.
fn word(text: &str) -> String {
    let letters = text.trim_start().chars();
    letters.take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// Fails with the places where a line of code holds one of `words`, in files that `forbidden` picks.
#[track_caller]
fn assert_nowhere(words: &[&str], files: Vec<Source>, forbidden: impl Fn(&str) -> bool) {
    for source in files.iter().filter(|source| forbidden(&source.path)) {
        for (number, line) in source.code().enumerate() {
            let found = words.iter().find(|word| line.contains(*word));
            assert!(found.is_none(), "{}:{}: {}", source.path, number + 1, line.trim());
        }
    }
}

#[test]
fn each_file_opens_with_what_it_is() {
    for source in all() {
        assert!(source.text.starts_with("//! "), "{} doesn't open with `//!`", source.path);
    }
}

#[test]
fn no_file_outgrows_its_room() {
    for source in all() {
        let lines = source.text.lines().count();
        assert!(lines <= ROOM, "{} has {lines} lines", source.path);
    }
}

#[test]
fn each_module_uses_only_what_the_architecture_allows() {
    let may_use = may_use();
    for source in sources(&["src"]).iter().filter(|source| source.path != "src/lib.rs") {
        let module = source.module().unwrap();
        let may = may_use.get(module).unwrap_or_else(|| panic!("ARCHITECTURE.md: no {module}"));
        for used in used(&source.code().collect::<Vec<_>>().join("\n")) {
            let fine = used == module || may.contains(&used);
            assert!(fine, "{} uses {used}, which {module} may not", source.path);
        }
    }
}

#[test]
fn the_architecture_allows_nothing_that_is_not_there() {
    let modules: BTreeSet<_> =
        sources(&["src"]).iter().map(|source| source.module().unwrap().to_owned()).collect();
    for (module, may) in may_use() {
        let mut named = may.iter().chain([&module]);
        assert!(
            named.all(|name| modules.contains(name)),
            "{module} or one of {may:?} is no module"
        );
    }
}

#[test]
fn the_ways_to_name_a_module_are_known() {
    assert_eq!(used("use crate::plan::Plan;"), ["plan"].map(String::from).into());
    let group = "use crate::{\n pages::{self, Node},\n plan,\n store::{Asset, root::Place}\n};";
    assert_eq!(used(group), ["pages", "plan", "store"].map(String::from).into());
    assert_eq!(used("let x = crate::live::y(crate::media::Z);").len(), 2);
    assert_eq!(used("use reelmap::{\n config::{self, Cli},\n health, serve,\n};").len(), 3);
}

#[test]
fn no_module_climbs_out_by_super() {
    // It would name a neighbour without a word of `crate::`.
    assert_nowhere(&["super::super"], sources(&["src"]), |_| true);
    let top = |source: &&Source| {
        let depth = source.path.matches('/').count();
        depth == 1 || depth == 2 && source.path.ends_with("/mod.rs")
    };
    for source in sources(&["src"]).iter().filter(top) {
        let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        assert!(!code.contains("super::"), "{}", source.path);
    }
}

#[test]
fn unsafe_is_in_one_file_of_the_program() {
    let elsewhere = |path: &str| path != "src/store/mapping.rs";
    assert_nowhere(&["unsafe ", "unsafe{", "unsafe_code"], sources(&["src"]), elsewhere);
    let mapping =
        sources(&["src"]).into_iter().find(|source| source.path == "src/store/mapping.rs").unwrap();
    let blocks = mapping.code().filter(|line| line.contains("unsafe {")).count();
    assert_eq!(mapping.text.matches("// SAFETY: ").count(), blocks, "each block has its contract");
}

#[test]
fn hyper_is_known_in_serve_alone() {
    let elsewhere = |path: &str| !path.starts_with("src/serve");
    assert_nowhere(&["hyper::", "hyper_util::"], sources(&["src"]), elsewhere);
}

#[test]
fn the_pillars_log_nothing_and_know_no_runtime() {
    let pillar = |path: &str| {
        ["media", "store", "plan", "pages"]
            .iter()
            .any(|name| path.starts_with(&format!("src/{name}")))
    };
    assert_nowhere(&["tokio::", "tracing::", "println!", "anyhow::"], sources(&["src"]), pillar);
}

#[test]
fn plan_knows_no_file_and_no_clock() {
    let plan = |path: &str| path.starts_with("src/plan");
    let words = ["fs::", "File", "SystemTime::now", "Instant", "async "];
    assert_nowhere(&words, sources(&["src"]), plan);
}

#[test]
fn nothing_is_left_to_do() {
    let words =
        ["TO DO", "FIX ME", "to do!", "un implemented!", "d bg!"].map(|word| word.replace(' ', ""));
    for source in all() {
        let found = words.iter().find(|word| source.text.contains(*word));
        assert_eq!(found, None, "{}", source.path);
    }
}
