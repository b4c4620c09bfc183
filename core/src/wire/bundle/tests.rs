extern crate std;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;
use std::{format, iter};

use super::*;
use crate::offer::Name;

/// What a test puts together: a stream as its parts.
fn stream(head: BundleHead, entries: &[(BundleEntry<'_>, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; BUNDLE_BUFFER];
    let len = head.emit(&mut out).unwrap();
    let mut bytes = out[..len].to_vec();
    for (entry, content) in entries {
        let len = entry.emit(&mut out).unwrap();
        bytes.extend(&out[..len]);
        bytes.extend(*content);
    }
    bytes
}

fn folder(path: &str) -> (BundleEntry<'_>, &[u8]) {
    (BundleEntry { path, kind: EntryKind::Folder, modified: Some(1) }, b"")
}

fn file<'a>(path: &'a str, content: &'a [u8]) -> (BundleEntry<'a>, &'a [u8]) {
    let kind = EntryKind::File { size: content.len() as u64, executable: false };
    (BundleEntry { path, kind, modified: None }, content)
}

fn link<'a>(path: &'a str, target: &'a str) -> (BundleEntry<'a>, &'a [u8]) {
    (BundleEntry { path, kind: EntryKind::Link { target }, modified: None }, b"")
}

/// A head that promises what comes.
fn head(entries: &[(BundleEntry<'_>, &[u8])], separate: bool) -> BundleHead {
    let bytes = entries.iter().map(|(_, content)| content.len() as u64).sum();
    BundleHead { entries: u32::try_from(entries.len()).unwrap(), bytes, separate }
}

/// Reads a stream in pieces of `piece` bytes, and gives the paths and all content.
fn read(bytes: &[u8], size: u64, piece: usize) -> Result<(Vec<String>, Vec<u8>), BundleError> {
    let mut reader = BundleReader::new(Name::new("d").unwrap(), size);
    let (mut paths, mut content) = (Vec::new(), Vec::new());
    for mut input in bytes.chunks(piece) {
        while let Some(part) = reader.next(&mut input)? {
            match part {
                BundlePart::Head(_) => {}
                BundlePart::Entry(entry) => paths.push(entry.path.to_string()),
                BundlePart::Content(bytes) => content.extend(bytes),
            }
        }
        assert!(input.is_empty(), "it stopped early");
    }
    reader.finish().map(|()| (paths, content))
}

fn read_all(bytes: &[u8]) -> Result<(Vec<String>, Vec<u8>), BundleError> {
    read(bytes, bytes.len() as u64, bytes.len())
}

/// The result for these entries, behind a head that promises them.
fn of(entries: &[(BundleEntry<'_>, &[u8])], separate: bool) -> Result<(), BundleError> {
    read_all(&stream(head(entries, separate), entries)).map(|_| ())
}

#[test]
fn a_bundle_is_read_in_pieces_of_any_length() {
    let entries = [
        folder("d"),
        file("d/a", b"hello"),
        folder("d/b"),
        folder("d/b/c"),
        file("d/b/c/x", b""),
        link("d/b/l", "../a"),
        file("d/b.txt", b"world"),
        folder("d/empty"),
    ];
    let bytes = stream(head(&entries, false), &entries);
    let expected: Vec<_> = entries.iter().map(|(entry, _)| entry.path.to_string()).collect();
    for piece in (1..20).chain([bytes.len()]) {
        let (paths, content) = read(&bytes, bytes.len() as u64, piece).unwrap();
        assert_eq!((&paths, &content[..]), (&expected, &b"helloworld"[..]), "{piece}");
    }
}

#[test]
fn paths_lead_nowhere_else() {
    let deep = |names: usize| iter::repeat_n("a", names).collect::<Vec<_>>().join("/");
    let long = "é".repeat(127);
    for path in ["a", "a/b", "...", "a/..b", " ", "-", ".git/config", &long, &deep(64)] {
        assert_eq!(check_path(path), Ok(()), "{path}");
    }
    for path in
        ["", "/", "/etc/passwd", "a/", "a//b", ".", "..", "a/../b", "../a", "a/.", "a\0", &"x".repeat(256)]
    {
        assert_eq!(check_path(path), Err(PathFault::Name), "{path:?}");
    }
    assert_eq!(check_path(&deep(65)), Err(PathFault::Depth));
    assert_eq!(check_path(&format!("{}/{}", long, "é".repeat(400))), Err(PathFault::Length));
    // Whatever may not be sent is not taken either.
    for path in ["..", "/a", "a/../b", &deep(65)] {
        let mut out = vec![0; BUNDLE_BUFFER];
        let entry = BundleEntry { path, kind: EntryKind::Folder, modified: None };
        assert_eq!(entry.emit(&mut out), Err(ControlError::Range("path")), "{path}");
        let mut body = vec![0; BUNDLE_BUFFER];
        let len = Writer::begin(&mut body, FOLDER, 1).unwrap().text(1, path).unwrap().len();
        assert_eq!(BundleEntry::parse(&body[..len]), Err(ControlError::Range("path")), "{path}");
    }
}

#[test]
fn links_stay_in_their_top_level_folder() {
    for (path, target) in [
        ("d/l", "a"),
        ("d/l", "a/b/c"),
        ("d/a/l", "../b"),
        ("d/a/l", ".."),
        ("d/a/b/l", "../../c/x"),
        ("d/l", "missing"),
    ] {
        assert!(is_inside(path, target), "{path} -> {target}");
    }
    for (path, target) in [
        ("d/l", ""),
        ("d/l", "/etc/passwd"),
        ("d/l", "../a"),
        ("d/a/l", "../../b"),
        // Behind a name, `..` is the parent of what that name leads to.
        ("d/a/l", "b/.."),
        ("d/a/l", "../x/../../../etc"),
        ("d/l", "a/./b"),
        ("d/l", "a//b"),
        ("d/l", "a/"),
        ("d/l", "a\0"),
        // A separate link has no folder of its own to stay in.
        ("l", "a"),
        ("l", ".."),
    ] {
        assert!(!is_inside(path, target), "{path} -> {target}");
        let entries = [folder("d"), folder("d/a"), link(path, target)];
        let mut out = vec![0; BUNDLE_BUFFER];
        assert_eq!(entries[2].0.emit(&mut out), Err(ControlError::Range("target")), "{path} -> {target}");
    }
    assert!(!is_inside("d/l", &"x/".repeat(600)));
}

#[test]
fn entries_come_in_order_and_once() {
    assert_eq!(of(&[folder("d"), file("d/a", b""), file("d/b", b"")], false), Ok(()));
    for wrong in [
        [folder("d"), file("d/b", b""), file("d/a", b"")],
        [folder("d"), file("d/a", b""), file("d/a", b"")],
        [folder("d"), folder("d/a"), folder("d/a")],
        [folder("d"), folder("d/a"), folder("d")],
    ] {
        assert_eq!(of(&wrong, false), Err(BundleError::Order), "{wrong:?}");
    }
    // Name by name, and not as one text: "a.b" comes behind all that is in "a".
    assert_eq!(of(&[folder("a"), file("a/x", b""), file("a.b", b"")], true), Ok(()));
    assert_eq!(of(&[folder("a"), file("a.b", b""), file("a/x", b"")], true), Err(BundleError::Order));
}

#[test]
fn an_entry_is_in_a_folder_that_has_come() {
    for wrong in [
        [folder("d"), file("d/a", b""), file("d/a/b", b"")],
        [folder("d"), link("d/a", "b"), file("d/a/b", b"")],
        [folder("d"), file("d/a", b""), file("d/b/c", b"")],
        [folder("d"), folder("d/ab"), file("d/ab/c/x", b"")],
        [folder("d"), folder("d/a"), file("d/ab/c", b"")],
    ] {
        assert_eq!(of(&wrong, false), Err(BundleError::NoFolder), "{wrong:?}");
    }
    assert_eq!(of(&[file("d/a", b"")], true), Err(BundleError::NoFolder));
}

#[test]
fn one_folder_has_the_name_of_the_drop_and_is_alone() {
    for wrong in [
        &[folder("other")][..],
        &[file("d", b"")],
        &[folder("d"), folder("e")],
        &[folder("d"), file("e", b"")],
    ] {
        assert_eq!(of(wrong, false), Err(BundleError::Top), "{wrong:?}");
    }
    assert_eq!(of(&[file("d", b"x"), folder("e")], true), Ok(()));
}

#[test]
fn counts_sums_and_lengths_are_those_promised() {
    let entries = [folder("d"), file("d/a", b"hello"), file("d/b", b"world")];
    let right = head(&entries, false);
    for (wrong, error) in [
        (BundleHead { entries: 2, ..right }, BundleError::Sum),
        (BundleHead { entries: 4, ..right }, BundleError::Length),
        (BundleHead { bytes: 9, ..right }, BundleError::Sum),
        (BundleHead { bytes: 11, ..right }, BundleError::Sum),
        (BundleHead { bytes: u64::MAX, ..right }, BundleError::Promise),
        (BundleHead { entries: 1_000_000, ..right }, BundleError::Promise),
    ] {
        assert_eq!(read_all(&stream(wrong, &entries)), Err(error), "{wrong:?}");
    }
    let bytes = stream(right, &entries);
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end], bytes.len() as u64, 7), Err(BundleError::Length), "cut at {end}");
    }
    let size = bytes.len() as u64;
    assert!(read(&bytes, size - 1, 7).is_err() && read(&bytes, size + 1, 7).is_err());
    let more = [&bytes[..], b"x"].concat();
    assert_eq!(read(&more, size + 1, 7), Err(BundleError::Length));
    assert_eq!(read(&more, size, 7), Err(BundleError::Length));
    assert!(stream_of_nothing().is_err(), "a bundle has an entry");
}

fn stream_of_nothing() -> Result<usize, ControlError> {
    BundleHead { entries: 0, bytes: 0, separate: true }.emit(&mut [0; BUNDLE_BUFFER])
}

#[test]
fn a_header_has_a_length_within_bounds() {
    for length in [0_u16, 2_561, u16::MAX] {
        let bytes = [&length.to_be_bytes()[..], &[0; 100]].concat();
        assert_eq!(read(&bytes, 10_000, 5), Err(BundleError::HeaderLength), "{length}");
    }
    let long = ["é".repeat(127), "é".repeat(127), "é".repeat(127), "é".repeat(127)].join("/");
    let mut out = vec![0; BUNDLE_BUFFER];
    let path = format!("d/{long}");
    let target = "é".repeat(127);
    let entry = BundleEntry { path: &path, kind: EntryKind::Link { target: &target }, modified: None };
    assert!(entry.emit(&mut out).is_ok(), "the longest header fits");
}

#[test]
fn a_link_has_no_time_and_no_time_is_beyond_the_year_9999() {
    let mut out = vec![0; BUNDLE_BUFFER];
    for (kind, modified, legal) in [
        (EntryKind::Folder, MODIFIED_MAX, true),
        (EntryKind::Folder, MODIFIED_MAX + 1, false),
        (EntryKind::Link { target: "a" }, 1, false),
    ] {
        let entry = BundleEntry { path: "d/l", kind, modified: Some(modified) };
        assert_eq!(entry.emit(&mut out).is_ok(), legal, "{entry:?}");
    }
}
