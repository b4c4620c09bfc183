//! A tree through a bundle and back, what cannot be sent, and what is not taken.

mod resume;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::offer::Name;
use deaddrop_core::wire::{BundleEntry, EntryKind};

use super::incoming::{Alteration, BundleIncoming, FinishedBundle, SavedBundle};
use super::obstacle::Obstacle;
use super::source::{BundleOptions, BundleSource};
use crate::files::save::{Destination, SaveError};
use crate::files::source::SourceError;
use crate::files::target::Finished;
use crate::files::unfinished::Unfinished;

const PLAIN: BundleOptions = BundleOptions { follow: false, skip_unsendable: false };

/// What of a tree arrives: for each path its kind, content or target, whether it is executable, and its time.
type Tree = BTreeMap<PathBuf, (char, Vec<u8>, bool, i64)>;

fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let (kind, content) = if metadata.is_symlink() {
                ('l', fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
            } else if metadata.is_dir() {
                folders.push(path.clone());
                ('d', Vec::new())
            } else {
                ('f', fs::read(&path).unwrap())
            };
            let executable = kind == 'f' && metadata.mode() & 0o100 != 0;
            let time = if kind == 'l' { 0 } else { metadata.mtime() };
            tree.insert(path.strip_prefix(root).unwrap().to_owned(), (kind, content, executable, time));
        }
    }
    tree
}

fn write(path: &Path, content: &[u8], mode: u32, time: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
    fs::File::open(path).unwrap().set_modified(at).unwrap();
}

/// A folder `photos` with some of everything that can be sent.
fn photos(at: &Path) -> PathBuf {
    let root = at.join("photos");
    write(&root.join("a.jpg"), b"picture", 0o644, 1_000_000_000);
    write(&root.join("run.sh"), b"#!/bin/sh", 0o755, 1_500_000_000);
    write(&root.join("set-id"), b"x", 0o6755, 1_500_000_001);
    write(&root.join(".hidden/-dash"), b"", 0o600, 5);
    write(&root.join("a/b/c/deep"), &vec![7; 200_000], 0o640, 1_600_000_000);
    write(&root.join("a.b"), b"behind what is in a", 0o600, 1);
    write(&root.join("Ünïcode 報告 \u{1f389}"), b"name", 0o600, 2);
    write(&root.join("n".repeat(255)), b"long", 0o600, 3);
    fs::create_dir(root.join("empty")).unwrap();
    symlink("a/b", root.join("link")).unwrap();
    symlink("../../a.jpg", root.join("a/b/up")).unwrap();
    symlink("missing", root.join("dangling")).unwrap();
    fs::hard_link(root.join("a.jpg"), root.join("hard.jpg")).unwrap();
    let mut deep = root.join("deep");
    for _ in 0..61 {
        deep = deep.join("x");
    }
    write(&deep.join("63-deep"), b"bottom", 0o600, 4);
    for folder in [root.join("a/b"), root.join("a"), root.join("empty"), root.clone()] {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_400_000_000);
        fs::File::open(folder).unwrap().set_modified(at).unwrap();
    }
    root
}

/// All bytes of a source, read in pieces of this length.
fn stream(source: &BundleSource, piece: usize) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(source.size()).unwrap()];
    for (n, part) in bytes.chunks_mut(piece).enumerate() {
        source.read_at((n * piece) as u64, part).unwrap();
    }
    bytes
}

fn receive(out: &Path, name: &Name, bytes: &[u8], piece: usize) -> Result<FinishedBundle, SaveError> {
    let destination = Destination::path(out).unwrap();
    let mut incoming = BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64)?;
    for part in bytes.chunks(piece) {
        incoming.append(part)?;
    }
    incoming.reserve_tail(1)?;
    let (finished, mut leftover) = incoming.finish().map_err(|unplaced| unplaced.error)?;
    leftover.remove();
    Ok(finished)
}

fn saved(out: &Path, name: &Name, bytes: &[u8]) -> SavedBundle {
    match receive(out, name, bytes, 4_096).unwrap() {
        FinishedBundle::Saved(saved) => saved,
        FinishedBundle::Spooled(_) => panic!("spooled"),
    }
}

#[test]
fn a_folder_arrives_as_it_was() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = photos(from.path());
    let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    assert_eq!((name.as_str(), source.files()), ("photos", 10));
    for (n, piece) in [7, 4_096, 65_536].into_iter().enumerate() {
        let bytes = stream(&source, piece);
        let saved = saved(to.path(), &name, &bytes);
        let expected = if n == 0 { "photos".into() } else { format!("photos ({n})") };
        assert_eq!((&saved.paths[..], saved.files), (&[to.path().join(&expected)][..], 10));
        assert_eq!(saved.alterations, []);
        assert_eq!(tree(&to.path().join(&expected)), tree(&root));
        let top = fs::metadata(to.path().join(&expected)).unwrap();
        assert_eq!((top.mode() & 0o7777, top.mtime()), (0o700, 1_400_000_000));
    }
    let private = |path: &str, mode| {
        let metadata = fs::metadata(to.path().join("photos").join(path)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, mode, "{path}");
    };
    private("a.jpg", 0o600);
    private("run.sh", 0o700);
    private("set-id", 0o700);
    private("a/b", 0o700);
    assert_eq!(fs::metadata(to.path().join("photos/hard.jpg")).unwrap().nlink(), 1, "a file of its own");
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 3, "and nothing is left beside them");
}

#[test]
fn a_source_is_the_same_from_any_offset() {
    let from = tempfile::tempdir().unwrap();
    let (source, _) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let all = stream(&source, 1 << 20);
    for piece in [1, 13, 511, 65_537] {
        assert!(stream(&source, piece) == all, "{piece}");
    }
    let mut part = [0; 100];
    for offset in (0..all.len() - 100).step_by(997) {
        source.read_at(offset as u64, &mut part).unwrap();
        assert_eq!(part[..], all[offset..offset + 100]);
    }
    assert!(source.read_at(all.len() as u64 - 50, &mut part).is_err(), "past the end");
}

#[test]
fn separate_entries_arrive_one_by_one_or_in_a_folder_of_a_given_name() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| from.path().join(name);
    write(&at("one.txt"), b"1", 0o600, 1);
    write(&at("sub/two"), b"2", 0o600, 2);
    write(&at(".rc"), b"3", 0o600, 3);
    let paths = [at("one.txt"), at("sub"), at(".rc")];
    let (mut source, name) = BundleSource::walk(&paths, PLAIN).unwrap();
    assert_eq!(name.as_str(), ".rc and 2 more");
    fs::write(to.path().join("one.txt"), "mine").unwrap();
    fs::write(to.path().join("_rc"), "mine").unwrap();
    let result = saved(to.path(), &name, &stream(&source, 100));
    let expected = ["_rc (1)", "one (1).txt", "sub"].map(|name| to.path().join(name));
    assert_eq!(result.paths, expected);
    assert_eq!(result.alterations, [Alteration::Renamed { path: ".rc".into(), name: "_rc (1)".into() }]);
    assert_eq!(fs::read(to.path().join("one.txt")).unwrap(), b"mine");
    assert_eq!(fs::read(to.path().join("sub/two")).unwrap(), b"2");
    // The caller names a new folder for all of them.
    let result = saved(&to.path().join("new"), &name, &stream(&source, 100));
    assert_eq!(result.paths, [to.path().join("new")]);
    assert_eq!(fs::read(to.path().join("new/one.txt")).unwrap(), b"1");
    // So does the sender.
    source.rename("all").unwrap();
    let result = saved(to.path(), &Name::new("all").unwrap(), &stream(&source, 100));
    assert_eq!(result.paths, [to.path().join("all")]);
    assert_eq!(fs::read(to.path().join("all/sub/two")).unwrap(), b"2");
    source.rename("other").unwrap();
    let result = saved(&to.path().join("mine"), &Name::new("other").unwrap(), &stream(&source, 100));
    assert_eq!(result.paths, [to.path().join("mine")]);
    for bad in ["..", "a/b", ""] {
        assert!(matches!(source.rename(bad), Err(SourceError::NoFolderName)), "{bad}");
    }
    let same = BundleSource::walk(&[at("sub/two"), at("two")], PLAIN);
    assert!(matches!(same, Err(SourceError::SameName { .. })), "{same:?}");
}

#[test]
fn what_cannot_be_sent_is_named_before_anything_is_or_left_out() {
    let from = tempfile::tempdir().unwrap();
    let root = from.path().join("d");
    write(&root.join("good"), b"good", 0o600, 1);
    testbed::fifo::make(&root.join("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
    fs::write(from.path().join("secret"), "outside").unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink("/etc/hostname", root.join("root")).unwrap();
    symlink("/proc/self/status", root.join("proc")).unwrap();
    symlink("/sys/class/net/lo/mtu", root.join("sys")).unwrap();
    symlink("..", root.join("round")).unwrap();
    let mut deep = root.clone();
    for _ in 0..63 {
        deep = deep.join("x");
    }
    fs::create_dir_all(&deep).unwrap();
    write(&deep.join("65-deep"), b"x", 0o600, 1);

    let refused = |options| match BundleSource::walk(std::slice::from_ref(&root), options) {
        Err(SourceError::Unsendable(all)) => all
            .into_iter()
            .map(|it| (it.path.strip_prefix(&root).unwrap().to_owned(), it.why))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let names = |all: &[(PathBuf, Obstacle)]| {
        let mut names: Vec<_> = all.iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
        names.iter_mut().filter(|name| name.starts_with("x/")).for_each(|name| *name = "deep".into());
        names.sort();
        names
    };
    let all = refused(PLAIN);
    assert_eq!(names(&all), ["caf\u{fffd}", "deep", "out", "pipe", "proc", "root", "round", "socket", "sys"]);
    for (path, why) in &all {
        let fits = match &*path.to_string_lossy() {
            "pipe" | "socket" => matches!(why, Obstacle::NotRegular),
            "caf\u{fffd}" => matches!(why, Obstacle::NameNotText),
            "out" | "root" | "proc" | "round" | "sys" => matches!(why, Obstacle::LinkOutside(_)),
            _ => matches!(why, Obstacle::Path(_)),
        };
        assert!(fits, "{path:?}: {why:?}");
    }
    // Followed, a link leads to a file, to one without a size, or round in a circle.
    let followed = refused(BundleOptions { follow: true, ..PLAIN });
    assert_eq!(names(&followed), ["caf\u{fffd}", "deep", "pipe", "proc", "round/d", "socket", "sys"]);
    let why = |name: &str| &followed.iter().find(|(path, _)| path == Path::new(name)).unwrap().1;
    assert!(matches!(why("round/d"), Obstacle::Loop), "{followed:?}");
    assert!(matches!((why("proc"), why("sys")), (Obstacle::NoSize, Obstacle::NoSize)), "{followed:?}");

    let (source, name) = BundleSource::walk(
        std::slice::from_ref(&root),
        BundleOptions { follow: true, skip_unsendable: true },
    )
    .unwrap();
    assert_eq!(source.left_out().len(), 7);
    let to = tempfile::tempdir().unwrap();
    saved(to.path(), &name, &stream(&source, 1_000));
    assert_eq!(fs::read(to.path().join("d/out")).unwrap(), b"outside");
    assert!(fs::symlink_metadata(to.path().join("d/out")).unwrap().is_file());
    assert_eq!(fs::read(to.path().join("d/round/secret")).unwrap(), b"outside");
    let nothing = BundleSource::walk(
        &[root.join("pipe"), root.join("socket")],
        BundleOptions { skip_unsendable: true, ..PLAIN },
    );
    assert!(matches!(nothing, Err(SourceError::NothingToSend)), "{nothing:?}");
}

#[test]
fn a_file_that_changes_before_its_turn_is_named() {
    for change in ["grow", "shrink", "replace", "remove", "rewrite", "link", "fill"] {
        let from = tempfile::tempdir().unwrap();
        let root = from.path().join("d");
        write(&root.join("a"), b"first", 0o600, 100);
        write(&root.join("b"), b"second", 0o600, 100);
        write(&root.join("c"), b"", 0o600, 100);
        let (source, _) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
        let mut front = [0; 40];
        source.read_at(0, &mut front).unwrap();
        let at = root.join("b");
        match change {
            "grow" => fs::write(&at, "second and more").unwrap(),
            "shrink" => fs::write(&at, "2").unwrap(),
            "replace" => {
                write(&root.join("new"), b"second", 0o600, 100);
                fs::rename(root.join("new"), &at).unwrap();
            }
            "remove" => fs::remove_file(&at).unwrap(),
            "rewrite" => write(&at, b"SECOND", 0o600, 101),
            "link" => {
                fs::rename(&at, root.join("elsewhere")).unwrap();
                symlink("elsewhere", &at).unwrap();
            }
            // An empty file has no content that is read.
            _ => write(&root.join("c"), b"x", 0o600, 100),
        }
        let mut all = vec![0; usize::try_from(source.size()).unwrap()];
        assert!(source.read_at(0, &mut all).is_err(), "{change}");
        let named = if change == "fill" { root.join("c") } else { at };
        assert_eq!(source.changed().get(), Some(named), "{change}");
    }
}

#[test]
fn a_folder_that_another_takes_the_place_of_is_not_entered() {
    let from = tempfile::tempdir().unwrap();
    let root = from.path().join("d");
    write(&root.join("sub/a"), b"right", 0o600, 100);
    write(&from.path().join("other/a"), b"wrong", 0o600, 100);
    let (source, _) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    fs::rename(root.join("sub"), from.path().join("gone")).unwrap();
    symlink("../other", root.join("sub")).unwrap();
    let mut all = vec![0; usize::try_from(source.size()).unwrap()];
    assert!(source.read_at(0, &mut all).is_err());
    assert_eq!(source.changed().get(), Some(root.join("sub/a")));
}

#[test]
fn what_is_added_to_a_folder_later_is_not_part_of_it() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = from.path().join("d");
    write(&root.join("a"), b"first", 0o600, 100);
    let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    write(&root.join("b"), b"later", 0o600, 100);
    saved(to.path(), &name, &stream(&source, 50));
    assert_eq!(tree(&to.path().join("d")).len(), 1);
}

#[test]
fn a_hostile_bundle_leaves_nothing_anywhere() {
    let vectors = include_str!("../../../../core/tests/vectors/bundle.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
    let mut refused = 0;
    for vector in &vectors {
        let hex = vector["stream"].as_str().unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let (outer, name) = (tempfile::tempdir().unwrap(), Name::new("d").unwrap());
        let here = outer.path().join("here");
        fs::create_dir(&here).unwrap();
        for piece in [1, 1_000] {
            let result = receive(&here, &name, &bytes, piece);
            assert_eq!(
                result.is_ok(),
                vector["accepted"].as_bool().unwrap(),
                "{}: {result:?}",
                vector["what"]
            );
            if result.is_err() {
                refused += 1;
                assert_eq!(tree(&here).len(), 0, "{}", vector["what"]);
            }
            assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1, "nothing outside: {}", vector["what"]);
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn a_bundle_that_is_given_up_half_way_leaves_nothing() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    let destination = Destination::path(to.path()).unwrap();
    for part in [1, bytes.len() / 2, bytes.len() - 1] {
        let mut incoming =
            BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64).unwrap();
        incoming.append(&bytes[..part]).unwrap();
        let there = tree(to.path());
        assert!(
            there.keys().all(|path| path.to_string_lossy().starts_with(".photos.deaddrop-")),
            "{there:?}"
        );
        for entry in fs::read_dir(to.path()).unwrap() {
            let metadata = entry.unwrap().metadata().unwrap();
            assert_eq!(metadata.mode() & 0o777, if metadata.is_dir() { 0o700 } else { 0o600 });
        }
        drop(incoming);
        assert_eq!(tree(to.path()).len(), 0);
    }
    // Whole, but not to be finished.
    let mut incoming =
        BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64 + 1).unwrap();
    assert!(incoming.append(&bytes).is_err());
    drop(incoming);
    assert_eq!(tree(to.path()).len(), 0);
}

/// The hidden folder in a folder.
fn hidden(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let is_hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    entries.find(|entry| is_hidden(entry) && entry.path().is_dir()).expect("a hidden folder").path()
}

/// The stream of a bundle with these entries, whose files have one byte each.
fn bundle_of(entries: &[(&str, EntryKind<'_>)]) -> Vec<u8> {
    use deaddrop_core::wire::{BUNDLE_BUFFER, BundleHead};
    let (mut stream, mut buffer) = (Vec::new(), [0; BUNDLE_BUFFER]);
    let files = entries.iter().filter(|(_, kind)| matches!(kind, EntryKind::File { .. })).count();
    let head =
        BundleHead { entries: u32::try_from(entries.len()).unwrap(), bytes: files as u64, separate: false };
    let len = head.emit(&mut buffer).unwrap();
    stream.extend_from_slice(&buffer[..len]);
    for (path, kind) in entries {
        let len = BundleEntry { path, kind: *kind, modified: None }.emit(&mut buffer).unwrap();
        stream.extend_from_slice(&buffer[..len]);
        if matches!(kind, EntryKind::File { .. }) {
            stream.push(b'0' + u8::try_from(stream.len() % 10).unwrap());
        }
    }
    stream
}

/// Opens what an earlier process has left.
fn opened(found: &mut Unfinished) -> crate::files::target::Target {
    found.open().unwrap();
    found.take().unwrap()
}

const FILE: EntryKind<'_> = EntryKind::File { size: 1, executable: false };

#[test]
fn names_that_a_file_system_folds_into_one_are_kept_apart() {
    let to = tempfile::tempdir().unwrap();
    let destination = Destination::path(to.path()).unwrap();
    let entries = [
        ("d", EntryKind::Folder),
        ("d/README", FILE),
        ("d/readme", FILE),
        ("d/sub", EntryKind::Folder),
        ("d/sub/x", FILE),
    ];
    let (front, all) = (bundle_of(&entries[..2]).len(), bundle_of(&entries));
    let renamed = |path: &str, name: &str| Alteration::Renamed { path: path.into(), name: name.into() };
    for resumed in [false, true] {
        let mut incoming = BundleIncoming::of_nobody(&destination, "d", all.len() as u64).unwrap();
        incoming.append(&all[..front]).unwrap();
        // As if this file system took the next two for names that are there.
        fs::write(hidden(to.path()).join("d/readme"), "folded").unwrap();
        fs::create_dir(hidden(to.path()).join("d/sub")).unwrap();
        incoming.append(&all[front..all.len() - 1]).unwrap();
        let finished = if resumed {
            incoming.sync_now();
            drop(incoming);
            let mut found = destination.unfinished(None);
            let mut target = opened(&mut found[0]);
            assert_eq!(target.stored(), all.len() as u64 - 1);
            target.append(&all[all.len() - 1..]).unwrap();
            let (Finished::Bundle(saved), mut leftover) = target.finish().unwrap() else { panic!("other") };
            leftover.remove();
            saved
        } else {
            incoming.append(&all[all.len() - 1..]).unwrap();
            let Ok((FinishedBundle::Saved(saved), mut leftover)) = incoming.finish() else {
                panic!("spooled")
            };
            leftover.remove();
            saved
        };
        let top = &finished.paths[0];
        assert_eq!(fs::read(top.join("readme (1)")).unwrap().len(), 1);
        assert_eq!(fs::read(top.join("sub (1)/x")).unwrap(), all[all.len() - 1..]);
        assert_eq!(finished.alterations, [renamed("d/readme", "readme (1)"), renamed("d/sub", "sub (1)")]);
    }
}

#[test]
fn a_hidden_folder_that_another_exchanges_is_not_taken_for_ours() {
    let to = tempfile::tempdir().unwrap();
    let destination = Destination::path(to.path()).unwrap();
    let all = bundle_of(&[("d", EntryKind::Folder), ("d/x", FILE)]);
    let mut incoming = BundleIncoming::of_nobody(&destination, "d", all.len() as u64).unwrap();
    incoming.append(&all).unwrap();
    let hidden = hidden(to.path());
    fs::rename(&hidden, to.path().join("moved")).unwrap();
    fs::create_dir_all(hidden.join("d")).unwrap();
    assert!(matches!(incoming.reserve_tail(1), Err(SaveError::PartReplaced { .. })));
    assert!(matches!(incoming.finish().unwrap_err().error, SaveError::PartReplaced { .. }));
    assert!(hidden.join("d").exists(), "what is not ours is not removed");
}

#[test]
fn a_spooled_bundle_is_a_tar_archive() {
    for large in [0, 3 << 20] {
        let from = tempfile::tempdir().unwrap();
        let root = photos(from.path());
        write(&root.join("large"), &vec![9; large], 0o600, 1_700_000_000);
        let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
        let bytes = stream(&source, 1 << 20);
        let mut incoming =
            BundleIncoming::of_nobody(&Destination::spool(), name.as_str(), bytes.len() as u64).unwrap();
        bytes.chunks(10_000).for_each(|part| incoming.append(part).unwrap());
        let Ok((FinishedBundle::Spooled(spool), _)) = incoming.finish() else { panic!("saved") };
        assert_eq!(spool.in_memory().is_some(), large == 0);
        let mut archive = tar::Archive::new(spool);
        let mut arrived = Tree::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().strip_prefix("photos").unwrap().to_owned();
            let header = entry.header().clone();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => 'd',
                tar::EntryType::Symlink => 'l',
                _ => 'f',
            };
            let mut content = Vec::new();
            if kind == 'l' {
                content = entry.link_name_bytes().unwrap().to_vec();
            } else {
                entry.read_to_end(&mut content).unwrap();
            }
            let executable = kind == 'f' && header.mode().unwrap() & 0o100 != 0;
            let time = i64::try_from(header.mtime().unwrap()).unwrap();
            arrived.insert(path, (kind, content, executable, time));
        }
        assert!(arrived.remove(Path::new("")).is_some_and(|top| top.0 == 'd'));
        assert!(arrived == tree(&root));
    }
}

#[test]
fn the_digest_of_what_came_is_that_of_its_bytes_and_what_comes_again_is_skipped() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = from.path().join("d");
    write(&root.join("a"), &(0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect::<Vec<_>>(), 0o600, 1);
    let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    let destination = Destination::path(to.path()).unwrap();
    let mut incoming = BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64).unwrap();
    let mut at = 0;
    for piece in [1, 100_000, 3_000_000, 700_000] {
        incoming.append(&bytes[at..at + piece]).unwrap();
        at += piece;
        let mut digest = PrefixDigest::new(at as u64);
        let range = digest.range();
        digest.update(&bytes[usize::try_from(range.start).unwrap()..at]);
        assert_eq!(incoming.prefix_digest(at as u64), Some(digest.finish()), "{at}");
    }
    assert_eq!(incoming.prefix_digest(0), None);
    assert_eq!(incoming.prefix_digest(1_000_000), None, "no longer at hand");
    incoming.rewind(1_000_000);
    incoming.append(&bytes[1_000_000..3_900_000]).unwrap();
    incoming.append(&bytes[3_900_000..]).unwrap();
    incoming.finish().unwrap().1.remove();
    assert_eq!(tree(&to.path().join("d")), tree(&root));
}

#[test]
fn threads_store_in_order_and_none_waits_for_one_that_fails() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = photos(from.path());
    let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    let destination = Destination::path(to.path()).unwrap();
    for fails_at in [None, Some(20)] {
        let mut incoming =
            BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64).unwrap();
        let (writer, next) = (incoming.writer(), std::sync::atomic::AtomicUsize::new(0));
        let pieces: Vec<_> = bytes.chunks(1_000).collect();
        let work = || {
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let Some(piece) = pieces.get(at) else { break };
                if fails_at == Some(at) {
                    // Once all before it are stored, nothing else wakes those that wait.
                    drop(writer.turn(at as u64 * 1_000, true));
                    writer.break_off();
                    break;
                }
                // Most often not the turn of a thread that does not wait.
                drop(writer.turn(at as u64 * 1_000, false));
                let Some(mut turn) = writer.turn(at as u64 * 1_000, true) else { break };
                turn.store(piece, at as u64 * 1_000).unwrap();
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
        drop(writer);
        if fails_at.is_none() {
            incoming.advance(bytes.len() as u64);
            incoming.finish().unwrap().1.remove();
            assert_eq!(tree(&to.path().join("photos")), tree(&root));
        }
    }
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}
