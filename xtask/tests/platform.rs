//! Host asks which system it is built for in its two platform modules alone (decision 0038).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Names of one family of systems.
const NAMES: &[&str] = &["rustix::", "std::os::", "libc::", "async_signal", "windows_sys", "winapi"];
/// What a condition of compilation asks of the system.
const CONDITIONS: &[&str] = &["unix", "windows", "target_os", "target_family", "target_env"];

/// The source files below a folder, without those of tests and of the platform modules.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is = |name: &str| path.file_name().is_some_and(|own| own == name);
        if path.is_dir() {
            if !is("platform") && !is("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is("tests.rs") {
            found.push(path);
        }
    }
}

/// The lines of a source file that know of a system, without comments and the tests at its end.
fn bound(source: &str) -> Vec<&str> {
    let code = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let of_a_system = |line: &&str| {
        let line = line.split("//").next().unwrap();
        let conditional = line.contains("cfg(") || line.contains("cfg!(") || line.contains("cfg_attr(");
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        NAMES.iter().any(|name| line.contains(name))
            || (conditional && words.any(|word| CONDITIONS.contains(&word)))
    };
    code.lines().filter(of_a_system).collect()
}

#[test]
fn only_the_platform_modules_know_of_a_system() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut files = Vec::new();
    sources(&host, &mut files);
    assert!(files.len() > 80, "only {} files were read", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(&host).unwrap().display();
        wrong.extend(bound(&source).into_iter().map(|line| format!("host/src/{shown}: {}", line.trim())));
    }
    assert!(
        wrong.is_empty(),
        "these belong into host/src/platform or host/src/bin/deaddrop/platform: {wrong:#?}"
    );
}

#[test]
fn each_kind_of_line_that_knows_of_a_system_is_found() {
    for line in [
        "use rustix::fs::Mode;",
        "use std::os::fd::AsFd;",
        "    #[cfg(unix)]",
        "    #[cfg(not(any(target_os = \"linux\", test)))]",
        "    if cfg!(windows) {",
        "use async_signal::Signal;",
    ] {
        assert_eq!(bound(line).len(), 1, "{line}");
    }
    for line in ["// rustix::fs is not used here", "#[cfg(test)]", "fn windows(&self) {", "use crate::unix;"]
    {
        assert_eq!(bound(line).len(), 0, "{line}");
    }
    assert_eq!(bound("fn a() {}\n\n#[cfg(test)]\nmod tests {\n    use std::os::fd::AsFd;\n}\n").len(), 0);
}
