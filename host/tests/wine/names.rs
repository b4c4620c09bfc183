//! Names that Windows takes for something else.

use std::fs;

use crate::scene::{Scene, System};
use crate::support::{names, write};

/// What Linux has in one folder, and what becomes of it on Windows.
const NAMES: [(&str, &str); 9] = [
    // Devices, whatever comes after a dot.
    ("CON", "_CON"),
    ("aux.txt", "_aux.txt"),
    // Windows leaves out a last dot and space.
    ("dot.", "dot"),
    ("space ", "space"),
    // A stream of a file, and patterns.
    ("a:b", "a_b"),
    ("what?", "what_"),
    // One name, where letters of both cases are the same.
    ("Letter", "Letter"),
    ("letter", "letter (1)"),
    ("ordinary", "ordinary"),
];

#[test]
#[ignore = "cargo xtask windows"]
fn a_folder_arrives_whole_whatever_its_names() {
    let scene = Scene::new();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let odd = folder.path().join("odd");
    fs::create_dir(&odd).unwrap();
    for (name, _) in NAMES {
        write(&odd, name, name.as_bytes());
    }
    let (mut sending, token, _) = scene.send(System::Linux, folder.path(), &["send-file", "odd"], b"");
    let mut fetching = scene.fetch(System::Windows, here.path(), &token, &[]);
    let received = fetching.event("received");
    assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0), "{:?}", fetching.events);
    assert_eq!(received["files"].as_u64(), Some(NAMES.len() as u64));
    let here = here.path().join("odd");
    for (name, saved) in NAMES {
        assert_eq!(fs::read(here.join(saved)).unwrap(), name.as_bytes(), "{:?}", names(&here));
    }
    assert_eq!(names(&here).len(), NAMES.len());
}

#[test]
#[ignore = "cargo xtask windows"]
fn a_file_of_a_reserved_name_gets_another_and_replaces_nothing() {
    let scene = Scene::new();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), "nul.txt", b"new");
    write(here.path(), "_NUL.TXT", b"old");
    let (mut sending, token, _) = scene.send(System::Linux, folder.path(), &["send-file", "nul.txt"], b"");
    let mut fetching = scene.fetch(System::Windows, here.path(), &token, &[]);
    assert_eq!(fetching.event("received")["path"], "_nul (1).txt");
    assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0));
    assert_eq!(names(here.path()), ["_NUL.TXT", "_nul (1).txt"]);
    assert_eq!(fs::read(here.path().join("_NUL.TXT")).unwrap(), b"old");
}
