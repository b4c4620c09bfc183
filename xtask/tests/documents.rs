//! The documents at the top of the repository against the tree that they describe: every path exists, and every
//! name in code font is in the code, in the file beside it where there is one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");

/// The documents whose paths are checked.
const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "core/README.md",
    "host/README.md",
    "firmware/README.md",
    FAILURES,
];

/// The document that names a test for each of its tables.
const FAILURES: &str = "host/docs/failures.md";

/// A README and the file whose documentation has its example, where it is compiled.
const EXAMPLES: &[(&str, &str)] =
    &[("core/README.md", "core/src/lib.rs"), ("host/README.md", "host/src/claim.rs")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n```").step_by(2).flat_map(|prose| prose.lines())
}

/// The text between backticks.
fn code_spans(text: &str) -> Vec<&str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The relative targets of links, without their anchors.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next()?.split('#').next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// Whether a code span is the path of a file or folder of this repository, from its top.
fn is_path(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-*".contains(c);
    let inside = ["core/", "host/", "firmware/", "xtask/", ".github/", ".ci/"];
    let endings = [".md", ".toml", ".rs"];
    span.chars().all(plain)
        && (inside.iter().any(|top| span.starts_with(top)) || endings.iter().any(|end| span.ends_with(end)))
}

/// The paths that a text names.
fn paths(text: &str) -> Vec<&str> {
    code_spans(text).into_iter().filter(|span| is_path(span)).collect()
}

/// Whether a code span is a name of the code: `Name`, `name_of_something` or `Type::member`.
fn is_name(span: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    span.split("::").all(word)
}

/// The identifiers in the code of a file, or of all files below a folder; not those in comments.
fn identifiers(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if !["target", ".git"].iter().any(|skipped| entry.file_name() == *skipped) {
                identifiers(&entry.path(), found);
            }
        }
        return;
    }
    // What does not exist fails another test, with a better message.
    if path.extension().is_none_or(|extension| extension != "rs") || !path.exists() {
        return;
    }
    for line in fs::read_to_string(path).unwrap().lines() {
        let code = line.split("//").next().unwrap();
        let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        found.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
    }
}

/// The words of a name that are not among the identifiers.
fn unknown<'a>(name: &'a str, identifiers: &BTreeSet<String>) -> Vec<&'a str> {
    name.split("::").filter(|word| !identifiers.contains(*word)).collect()
}

#[test]
fn every_path_exists() {
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let file = root().join(document);
        let text = fs::read_to_string(&file).unwrap();
        let beside = file.parent().unwrap();
        // A path is from the top; in the README of a crate also from its folder.
        let exists = |path: &str| {
            let path = path.trim_end_matches('*');
            root().join(path).exists() || beside.join(path).exists()
        };
        let linked = links(&text).into_iter().filter(|target| !beside.join(target).exists());
        let named = paths(&text).into_iter().filter(|path| !exists(path));
        wrong.extend(linked.chain(named).map(|name| format!("{document}: {name}")));
    }
    assert!(wrong.is_empty(), "not in the repository: {wrong:#?}");
}

#[test]
fn every_test_of_a_failure_exists() {
    let text = fs::read_to_string(root().join(FAILURES)).unwrap();
    let named: Vec<_> = code_spans(&text).into_iter().filter_map(|span| span.split_once("::")).collect();
    for (file, test) in &named {
        let source = fs::read_to_string(root().join(file)).unwrap();
        assert!(source.contains(&format!("#[test]\nfn {test}(")), "{file} has no test {test}");
    }
    assert!(named.len() > 15, "{named:?}");
}

#[test]
fn every_name_is_in_the_code() {
    let mut all = BTreeSet::new();
    for folder in ["core", "host", "firmware", "xtask"] {
        identifiers(&root().join(folder), &mut all);
    }
    let names = code_spans(ARCHITECTURE).into_iter().filter(|span| is_name(span));
    let wrong: Vec<_> = names.filter(|name| !unknown(name, &all).is_empty()).collect();
    assert!(wrong.is_empty(), "ARCHITECTURE.md names what is not in the code: {wrong:?}");
}

/// A row of a table that names files and names: the names are in those files.
#[test]
fn every_row_names_what_its_files_have() {
    let (mut wrong, mut rows) = (Vec::new(), 0);
    for row in ARCHITECTURE.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.trim_end_matches(['|', ' ']).rsplit(" | ").next().unwrap();
        let files = paths(cell);
        let mut here = BTreeSet::new();
        files.iter().for_each(|file| identifiers(&root().join(file), &mut here));
        let names: Vec<_> = code_spans(cell).into_iter().filter(|span| is_name(span)).collect();
        if files.is_empty() || names.is_empty() {
            continue;
        }
        rows += 1;
        for name in names.into_iter().filter(|name| !unknown(name, &here).is_empty()) {
            wrong.push(format!("{name} is not in {}", files.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "ARCHITECTURE.md: {wrong:#?}");
    assert!(rows > 50, "only {rows} rows were checked");
}

/// A term stands once, in bold, and the glossary is the only table that defines it.
#[test]
fn every_term_of_the_glossary_stands_once() {
    let glossary = ARCHITECTURE.split("\n## Glossary\n").nth(1).unwrap();
    let mut seen = BTreeSet::new();
    for row in glossary.lines().filter(|line| line.starts_with("| **")) {
        let terms = row.split(" | ").next().unwrap();
        for term in terms.split("**").skip(1).step_by(2) {
            assert!(seen.insert(term), "{term} stands twice");
        }
    }
    assert!(seen.len() > 50, "only {} terms", seen.len());
}

/// A code span that goes on in the next line would be read inside out.
#[test]
fn code_spans_end_on_their_line() {
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let broken: Vec<_> = prose(&text).filter(|line| line.matches('`').count() % 2 == 1).collect();
        assert!(broken.is_empty(), "{document}: {broken:#?}");
    }
}

/// The example of a README is part of one that is compiled and run.
#[test]
fn examples_are_those_of_the_documentation() {
    for (readme, source) in EXAMPLES {
        let text = fs::read_to_string(root().join(readme)).unwrap();
        let example = text.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
        let source = fs::read_to_string(root().join(source)).unwrap();
        let compiled: String = source
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("//"))
            .map(|line| format!("{}\n", line.trim_start_matches(['/', '!']).trim()))
            .collect();
        let example: String = example.lines().map(|line| format!("{}\n", line.trim())).collect();
        assert!(
            compiled.contains(&example),
            "{readme} has another example than the documentation:\n{example}"
        );
    }
}

#[test]
fn what_does_not_exist_is_found() {
    let text = "The `core/src/no_such.rs` and [that](docs/no-such.md#part) of `Nothing`.\n```\n`core/fenced.rs`\n```\n";
    assert_eq!(paths(text), ["core/src/no_such.rs"]);
    assert_eq!(links(text), ["docs/no-such.md"]);
    assert!(!root().join("core/src/no_such.rs").exists());
    let mut here = BTreeSet::new();
    identifiers(&root().join("core/src/limits.rs"), &mut here);
    assert!(unknown("Profile", &here).is_empty());
    assert_eq!(unknown("Profile::no_such", &here), ["no_such"]);
    assert!(is_name("Fetch::poll_step") && !is_name("send-msg") && !is_name("cargo test"));
}
