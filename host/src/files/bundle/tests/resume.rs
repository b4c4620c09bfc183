//! A bundle that a later process goes on with.

use std::os::unix::fs::chown;

use super::super::reopen::is_recorded;
use super::*;
use crate::platform::{FileKind, Status};

/// Takes all numbered variants of a name too.
fn take_all_names(folder: &Path, name: &str) {
    for n in 0..=crate::files::place::PLACES_MAX {
        let name = if n == 0 { name.to_owned() } else { format!("{name} ({n})") };
        fs::File::create(folder.join(name)).unwrap();
    }
}

#[test]
fn what_cannot_get_its_name_is_kept_and_has_it_from_the_next_process() {
    let from = tempfile::tempdir().unwrap();
    let (first, last) = (from.path().join("a"), from.path().join("b"));
    write(&first.join("x"), b"1", 0o600, 0);
    write(&last.join("y"), b"2", 0o600, 0);
    symlink("y", last.join("z")).unwrap();
    for (paths, saved) in [(vec![last.clone()], &[][..]), (vec![first, last], &["a"][..])] {
        let to = tempfile::tempdir().unwrap();
        take_all_names(to.path(), "b");
        let (source, name) = BundleSource::walk(&paths, PLAIN).unwrap();
        let bytes = stream(&source, 50);
        let destination = Destination::path(to.path()).unwrap();
        let mut incoming =
            BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64).unwrap();
        incoming.append(&bytes).unwrap();
        let unplaced = incoming.finish().unwrap_err();
        assert!(matches!(unplaced.error, SaveError::NamesTaken { .. }), "{}", unplaced.error);
        let kept = unplaced.kept.unwrap();
        // With the lock of the record.
        drop(unplaced.leftover);
        assert!(kept.is_whole());
        assert_eq!(fs::read(kept.path.join("b/y")).unwrap(), b"2");
        fs::remove_file(to.path().join("b")).unwrap();
        let mut found = destination.unfinished(None).remove(0);
        assert!(found.open().unwrap().is_whole());
        let Ok((Finished::Bundle(bundle), mut leftover)) = found.take().unwrap().finish() else { panic!() };
        leftover.remove();
        let expected: Vec<_> = saved.iter().chain(&["b"]).map(|name| to.path().join(name)).collect();
        assert_eq!((bundle.paths, bundle.files), (expected, 1 + u32::try_from(saved.len()).unwrap()));
        assert_eq!(fs::read_link(to.path().join("b/z")).unwrap(), Path::new("y"));
        assert!(!kept.path.exists());
        let names = usize::from(crate::files::place::PLACES_MAX) + 1;
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), names + saved.len(), "and nothing beside them");
    }
}

/// Receives as far as `at`, ends as a process that is killed, and gives what the next one finds.
fn killed_at(to: &Path, name: &Name, bytes: &[u8], at: usize) -> Unfinished {
    let destination = Destination::path(to).unwrap();
    let mut incoming = BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64).unwrap();
    incoming.append(&bytes[..at]).unwrap();
    incoming.sync_now();
    drop(incoming);
    let mut found = destination.unfinished(None);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn a_later_process_goes_on_at_any_byte() {
    let from = tempfile::tempdir().unwrap();
    let root = photos(from.path());
    let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    // Within headers, between them and within contents.
    let (front, back) = (1..150, bytes.len() - 150..bytes.len());
    let places = front.step_by(7).chain((150..back.start).step_by(7_919)).chain(back.step_by(7));
    for at in places {
        let to = tempfile::tempdir().unwrap();
        let mut found = killed_at(to.path(), &name, &bytes, at);
        // What the process wrote after its last checkpoint.
        fs::create_dir_all(hidden(to.path()).join("zzz/later")).unwrap();
        let digest = {
            let mut digest = PrefixDigest::new(at as u64);
            digest.update(&bytes[..at]);
            digest.finish()
        };
        let target = found.open().unwrap();
        assert_eq!((target.stored(), target.prefix_digest(at as u64)), (at as u64, Some(digest)), "{at}");
        let mut target = found.take().unwrap();
        target.append(&bytes[at..]).unwrap();
        let Ok((Finished::Bundle(saved), mut leftover)) = target.finish() else { panic!("{at}") };
        leftover.remove();
        assert_eq!((saved.files, &saved.alterations[..]), (10, &[][..]), "{at}");
        assert_eq!(tree(&to.path().join("photos")), tree(&root), "{at}");
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "{at}");
    }
}

#[test]
fn a_hidden_folder_that_is_not_what_it_was_is_left_alone() {
    let from = tempfile::tempdir().unwrap();
    let root = photos(from.path());
    let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    type Change<'a> = (&'a str, &'a dyn Fn(&Path));
    let changes: &[Change<'_>] = &[
        ("a file is gone", &|hidden| fs::remove_file(hidden.join("photos/a.jpg")).unwrap()),
        ("a file is longer", &|hidden| fs::write(hidden.join("photos/a.jpg"), "more than before").unwrap()),
        ("a file has two names", &|hidden| {
            fs::hard_link(hidden.join("photos/a.jpg"), hidden.parent().unwrap().join("other")).unwrap();
        }),
        ("a link of the same length in place of a file", &|hidden| {
            let size = fs::metadata(hidden.join("photos/a.jpg")).unwrap().len();
            fs::remove_file(hidden.join("photos/a.jpg")).unwrap();
            symlink("x".repeat(usize::try_from(size).unwrap()), hidden.join("photos/a.jpg")).unwrap();
        }),
        ("a link in place of a folder", &|hidden| {
            fs::rename(hidden.join("photos/a"), hidden.join("photos/b")).unwrap();
            symlink("b", hidden.join("photos/a")).unwrap();
        }),
        ("another folder", &|hidden| {
            fs::rename(hidden, hidden.parent().unwrap().join("moved")).unwrap();
            fs::create_dir(hidden).unwrap();
            fs::write(hidden.join("mine"), "mine").unwrap();
        }),
        ("a link in its place", &|hidden| {
            fs::rename(hidden, hidden.parent().unwrap().join("moved")).unwrap();
            symlink("moved", hidden).unwrap();
        }),
    ];
    for (what, change) in changes {
        let to = tempfile::tempdir().unwrap();
        let mut found = killed_at(to.path(), &name, &bytes, bytes.len() - 1);
        let hidden = hidden(to.path());
        change(&hidden);
        let before = tree(to.path());
        assert!(matches!(found.open(), Err(SaveError::NotResumable { .. })), "{what}");
        assert_eq!(tree(to.path()).len(), before.len(), "{what}");
        // A restart goes past it, and leaves alone what is not ours.
        found.restart().unwrap();
        let target = found.open().unwrap();
        assert_eq!(target.stored(), 0, "{what}");
        let mut target = found.take().unwrap();
        target.append(&bytes).unwrap();
        let Ok((Finished::Bundle(_), mut leftover)) = target.finish() else { panic!("{what}") };
        leftover.remove();
        assert_eq!(tree(&to.path().join("photos")), tree(&root), "{what}");
        if *what == "another folder" {
            assert_eq!(fs::read(hidden.join("mine")).unwrap(), b"mine");
        }
        assert_eq!(to.path().join("moved").exists(), hidden.exists() || hidden.is_symlink(), "{what}");
    }
}

#[test]
fn other_bytes_in_a_file_are_in_the_digest_that_the_sender_compares() {
    let from = tempfile::tempdir().unwrap();
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    let (to, at) = (tempfile::tempdir().unwrap(), bytes.len() - 1);
    let mut found = killed_at(to.path(), &name, &bytes, at);
    fs::write(hidden(to.path()).join("photos/a.jpg"), "PICTURE").unwrap();
    let mut digest = PrefixDigest::new(at as u64);
    digest.update(&bytes[..at]);
    let there = found.open().unwrap().prefix_digest(at as u64).unwrap();
    assert_ne!(there, digest.finish());
}

#[test]
fn only_stale_folders_of_our_own_are_swept() {
    let from = tempfile::tempdir().unwrap();
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    let to = tempfile::tempdir().unwrap();
    let found = killed_at(to.path(), &name, &bytes, bytes.len() / 2);
    let (ours, destination) = (hidden(to.path()), Destination::path(to.path()).unwrap());
    assert!(destination.unfinished(None).is_empty(), "it is locked");
    found.expire();
    // Not in the place that the record tells of any more.
    fs::rename(&ours, to.path().join("moved")).unwrap();
    fs::create_dir_all(ours.join("photos")).unwrap();
    let record = fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().path());
    let record = record.into_iter().find(|path| path.to_string_lossy().ends_with(".record")).unwrap();
    let kept = fs::read(&record).unwrap();
    assert!(destination.unfinished(None).is_empty());
    assert!(ours.join("photos").exists() && to.path().join("moved/photos").exists(), "not that folder");
    assert!(!record.exists());
    fs::remove_dir_all(&ours).unwrap();
    fs::rename(to.path().join("moved"), &ours).unwrap();
    fs::write(&record, kept).unwrap();
    assert!(destination.unfinished(None).is_empty());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
}

/// A uid that is not ours.
const ANOTHER: u32 = 54_321;

/// Whether another user can be given a file here: not without root, without which others cannot write to ours either.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn what_another_user_owns_is_not_taken_for_ours() {
    let from = tempfile::tempdir().unwrap();
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    for path in ["", "photos", "photos/a.jpg"].into_iter().filter(|_| is_root()) {
        let to = tempfile::tempdir().unwrap();
        let mut found = killed_at(to.path(), &name, &bytes, bytes.len() - 1);
        chown(hidden(to.path()).join(path), Some(ANOTHER), None).unwrap();
        assert!(matches!(found.open(), Err(SaveError::NotResumable { .. })), "{path}");
    }
}

#[test]
fn the_hidden_folder_is_known_by_its_inode_on_the_device_that_it_is_in() {
    let status = |identity| Status {
        kind: FileKind::Folder,
        identity,
        size: 0,
        modified: (0, 0),
        names: 2,
        executable: true,
    };
    let dir = status((7, 1));
    assert!(is_recorded(&status((7, 5)), &dir, 5));
    assert!(!is_recorded(&status((7, 6)), &dir, 5), "another folder");
    assert!(!is_recorded(&status((8, 5)), &dir, 5), "something is mounted there");
}

#[test]
fn a_record_that_counts_more_than_its_journal_tells_is_not_gone_on_with() {
    let from = tempfile::tempdir().unwrap();
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    // In the middle of the first header.
    let to = tempfile::tempdir().unwrap();
    let mut found = killed_at(to.path(), &name, &bytes, 20);
    found.alter(|record| record.entry.durable += 1);
    assert!(matches!(found.open(), Err(SaveError::NotResumable { .. })));
}

#[test]
fn a_journal_that_was_altered_is_not_gone_on_with() {
    let from = tempfile::tempdir().unwrap();
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    // Less of the journal than was written, and as if the last of its notes were something else.
    for less in 1..40 {
        let to = tempfile::tempdir().unwrap();
        let mut found = killed_at(to.path(), &name, &bytes, bytes.len());
        found.alter(|record| record.entry.journal -= less);
        let opened = found.open();
        assert!(matches!(opened, Err(SaveError::NotResumable { .. })), "{less}");
    }
}

/// Adds to the journal of a bundle of which so many bytes are here, and opens that. `also` of the stream it then tells of.
fn opened_with(bytes: &[u8], at: usize, notes: &[u8], also: usize, before: impl Fn(&Path)) -> bool {
    let to = tempfile::tempdir().unwrap();
    let mut found = killed_at(to.path(), &Name::new("d").unwrap(), bytes, at);
    before(&hidden(to.path()));
    found.alter(|record| {
        record.write_journal(notes, record.entry.journal).unwrap();
        record.entry.journal += notes.len() as u64;
        record.entry.durable += also as u64;
    });
    match found.open() {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error, SaveError::NotResumable { .. }), "{error}");
            false
        }
    }
}

#[test]
fn a_journal_with_more_than_there_can_be_is_not_gone_on_with() {
    let note = |tag: u8, bytes: &[u8]| [&[tag, 0, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let (stream, name, top) = (0, 1, note(2, &[0; 8]));
    let folders = [("d", EntryKind::Folder), ("d/e", EntryKind::Folder), ("d/f", EntryKind::Folder)];
    let bytes = bundle_of(&folders);
    let header = bytes.len() - bundle_of(&folders[..2]).len();
    let at = bytes.len() - 2 * header;
    let made = |hidden: &Path| fs::create_dir(hidden.join("d/e")).unwrap();
    let (next, none) = (note(stream, &bytes[at..at + header]), |_: &Path| {});
    assert!(opened_with(&bytes, at, &next, header, made), "as it would be written");
    assert!(opened_with(&bytes, at, &top, 0, none));
    assert!(!opened_with(&bytes, at, &[top, note(name, b"x")].concat(), 0, none), "a name of nothing");
    assert!(!opened_with(&bytes, at, &note(9, b""), 0, none), "an unknown note");
    assert!(!opened_with(&bytes, at, &note(stream, &bytes[at..]), 2 * header, made), "two headers in one");
}

/// Two entries of their own, `a` and `b`, each with a file and a link. The process ends when `a` has its name and `b` has
/// not; then `meanwhile` happens. Gives the names that the next process says it has given.
fn names_after(meanwhile: impl Fn(&Path, &Path)) -> Vec<String> {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = ["a", "b"].map(|name| from.path().join(name));
    for path in &paths {
        write(&path.join("x"), b"1", 0o600, 0);
        symlink("x", path.join("z")).unwrap();
    }
    let (source, name) = BundleSource::walk(&paths, PLAIN).unwrap();
    let bytes = stream(&source, 50);
    let destination = Destination::path(to.path()).unwrap();
    let mut incoming = BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64).unwrap();
    incoming.append(&bytes).unwrap();
    incoming.end_before_names();
    let hidden = hidden(to.path());
    fs::rename(hidden.join("a"), to.path().join("a")).unwrap();
    meanwhile(to.path(), &hidden);
    let mut found = destination.unfinished(None).remove(0);
    let Ok((Finished::Bundle(bundle), mut leftover)) = opened(&mut found).finish() else { panic!() };
    leftover.remove();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    bundle.paths.iter().map(name).collect()
}

#[test]
fn an_entry_that_had_its_name_is_found_where_it_is_now() {
    assert_eq!(names_after(|_, _| {}), ["a", "b"]);
    assert_eq!(names_after(|to, _| fs::rename(to.join("a"), to.join("c")).unwrap()), ["c", "b"]);
    // A person has taken it away, or something else is in its place.
    assert_eq!(names_after(|to, _| fs::remove_dir_all(to.join("a")).unwrap()), ["b"]);
    let exchanged = names_after(|to, _| {
        fs::rename(to.join("a"), to.join(".a")).unwrap();
        fs::create_dir(to.join("a")).unwrap();
    });
    assert_eq!(exchanged, [".a", "b"]);
}

#[test]
fn an_entry_that_another_took_the_place_of_is_not_given_a_name() {
    let elsewhere = tempfile::tempdir().unwrap();
    let names = names_after(|_, hidden| {
        fs::rename(hidden.join("b"), elsewhere.path().join("b")).unwrap();
        fs::create_dir(hidden.join("b")).unwrap();
    });
    assert_eq!(names, ["a"]);
    if is_root() {
        let names = names_after(|to, _| chown(to.join("a"), Some(ANOTHER), None).unwrap());
        assert_eq!(names, ["b"], "it is another user's now");
    }
}

#[test]
fn an_empty_hidden_folder_is_ours_only_while_the_record_does_not_know_its_inode() {
    let from = tempfile::tempdir().unwrap();
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    // Its process ended between the making of the folder and the record of it.
    let to = tempfile::tempdir().unwrap();
    let mut found = killed_at(to.path(), &name, &bytes, 1);
    found.alter(|record| record.entry.part = (0, 0));
    assert_eq!(found.open().unwrap().stored(), 0);
    // Another one in its place.
    let to = tempfile::tempdir().unwrap();
    let mut found = killed_at(to.path(), &name, &bytes, 1);
    let (hidden, elsewhere) = (hidden(to.path()), tempfile::tempdir().unwrap());
    fs::rename(&hidden, elsewhere.path().join("moved")).unwrap();
    fs::create_dir(&hidden).unwrap();
    let theirs = fs::metadata(&hidden).unwrap().ino();
    assert!(matches!(found.open(), Err(SaveError::NotResumable { .. })));
    assert_eq!(fs::metadata(&hidden).unwrap().ino(), theirs);
}

#[test]
fn what_a_file_has_past_the_checkpoint_is_cut_off() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = from.path().join("d");
    write(&root.join("a"), &[7; 5_000], 0o600, 1);
    let (source, name) = BundleSource::walk(std::slice::from_ref(&root), PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    let at = bytes.len() - 1_000;
    let mut found = killed_at(to.path(), &name, &bytes, at);
    // More than the file is going to have.
    fs::write(hidden(to.path()).join("d/a"), [7; 9_000]).unwrap();
    let mut target = opened(&mut found);
    target.append(&bytes[at..]).unwrap();
    let Ok((Finished::Bundle(_), mut leftover)) = target.finish() else { panic!() };
    leftover.remove();
    assert_eq!(tree(&to.path().join("d")), tree(&root));
}

#[test]
fn the_folder_with_which_a_name_was_tried_is_removed() {
    let from = tempfile::tempdir().unwrap();
    let (source, name) = BundleSource::walk(&[photos(from.path())], PLAIN).unwrap();
    let bytes = stream(&source, 1 << 20);
    for (trying, saved) in [(true, "mine"), (false, "mine (1)")] {
        let to = tempfile::tempdir().unwrap();
        let destination = Destination::path(to.path().join("mine")).unwrap();
        let mut incoming =
            BundleIncoming::of_nobody(&destination, name.as_str(), bytes.len() as u64).unwrap();
        incoming.append(&bytes[..100]).unwrap();
        incoming.sync_now();
        drop(incoming);
        let mut found = destination.unfinished(None).remove(0);
        // Its process ended before it removed that.
        fs::create_dir(to.path().join("mine")).unwrap();
        found.alter(|record| record.entry.trying = trying);
        let mut target = opened(&mut found);
        target.append(&bytes[100..]).unwrap();
        let Ok((Finished::Bundle(bundle), mut leftover)) = target.finish() else { panic!() };
        leftover.remove();
        assert_eq!(bundle.paths, [to.path().join(saved)], "{trying}");
    }
}
