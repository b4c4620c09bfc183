use super::*;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn receive(out: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let destination = Destination::path(out).unwrap();
    let size = bytes.len().try_into().unwrap();
    let mut incoming = Incoming::of_nobody(&destination, name, size).unwrap();
    let (start, end) = bytes.split_at(bytes.len() / 2);
    incoming.append(start).unwrap();
    incoming.reserve_tail(end.len().try_into().unwrap()).unwrap();
    incoming.append(end).unwrap();
    saved(incoming)
}

/// Finishes it and removes its record, as after its confirmation.
fn saved(incoming: Incoming) -> PathBuf {
    let Ok((FinishedFile::Saved(path), mut leftover)) = incoming.finish() else { panic!("not saved") };
    leftover.remove();
    path
}

/// Why it cannot be finished.
fn unsaved(incoming: Incoming) -> SaveError {
    let Err(unplaced) = incoming.finish() else { panic!("saved") };
    unplaced.error
}

/// Everything in a folder, sorted.
fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_drop_is_saved_under_its_own_name_and_for_its_owner_only() {
    let folder = folder();
    let path = receive(folder.path(), "报告.pdf", b"secret");
    assert_eq!(path, folder.path().join("报告.pdf"));
    assert_eq!(fs::read(&path).unwrap(), b"secret");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(listing(folder.path()), ["报告.pdf"]);
}

#[test]
fn an_empty_drop_is_a_file_too() {
    let folder = folder();
    assert_eq!(fs::read(receive(folder.path(), "empty", b"")).unwrap(), b"");
}

#[test]
fn nothing_shows_under_its_name_before_it_is_whole() {
    let folder = folder();
    let destination = Destination::path(folder.path()).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", 4).unwrap();
    incoming.append(b"abc").unwrap();
    assert_eq!((incoming.stored(), incoming.size()), (3, 4));
    let names = listing(folder.path());
    assert!(names.len() == 2 && names.iter().all(|name| name.starts_with(".a.deaddrop-")), "{names:?}");
    let error = unsaved(incoming);
    assert!(matches!(error, SaveError::Truncated { stored: 3, size: 4 }), "{error}");
    assert!(listing(folder.path()).is_empty(), "and the part is gone");
}

#[test]
fn giving_up_removes_the_part_and_nothing_else() {
    let folder = folder();
    fs::write(folder.path().join("a"), "mine").unwrap();
    let destination = Destination::path(folder.path()).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", 4).unwrap();
    incoming.append(b"abc").unwrap();
    drop(incoming);
    assert_eq!(listing(folder.path()), ["a"]);
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"mine");
}

#[test]
fn a_sender_cannot_write_more_than_it_offered() {
    let folder = folder();
    let destination = Destination::path(folder.path()).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", 4).unwrap();
    incoming.append(b"abcd").unwrap();
    assert!(incoming.append(b"e").is_err());
    assert_eq!(incoming.stored(), 4);
    drop(incoming);
    assert!(listing(folder.path()).is_empty());
}

#[test]
fn hostile_names_stay_inside_the_folder() {
    let outer = folder();
    let inner = outer.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for name in ["..", ".", "...", r"..\x", ".ssh", "-rf", "con", "a\u{1b}b", "\u{202e}", ""] {
        let path = receive(&inner, name, b"x");
        assert_eq!(path.parent(), Some(inner.as_path()), "{name:?}");
    }
    assert_eq!(listing(outer.path()), ["inner"]);
    assert!(listing(&inner).iter().all(|name| !name.starts_with(['.', '-'])));
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.txt"), "mine").unwrap();
    assert_eq!(receive(folder.path(), "a.txt", b"1"), at("a (1).txt"));
    // The same when `--out` names the file itself.
    assert_eq!(receive(&at("a.txt"), "other", b"2"), at("a (2).txt"));
    // A folder of that name is not replaced or entered by a peer's name.
    fs::create_dir(at("b")).unwrap();
    assert_eq!(receive(folder.path(), "b", b"3"), at("b (1)"));
    assert!(listing(&at("b")).is_empty());
    assert_eq!(fs::read(at("a.txt")).unwrap(), b"mine");
    assert_eq!(fs::read(at("a (1).txt")).unwrap(), b"1");
}

#[test]
fn a_name_that_is_taken_meanwhile_is_not_overwritten() {
    let folder = folder();
    let destination = Destination::path(folder.path()).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", 1).unwrap();
    incoming.append(b"x").unwrap();
    fs::write(folder.path().join("a"), "mine").unwrap();
    let path = saved(incoming);
    assert_eq!(path, folder.path().join("a (1)"));
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"mine");
}

#[test]
fn links_are_not_followed_for_writing() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("target"), "mine").unwrap();
    symlink(at("target"), at("link")).unwrap();
    symlink(at("missing"), at("dangling")).unwrap();
    // Planted under the name that the peer will use, and given as `--out`.
    assert_eq!(receive(folder.path(), "link", b"x"), at("link (1)"));
    assert_eq!(receive(&at("link"), "other", b"x"), at("link (2)"));
    assert_eq!(receive(&at("dangling"), "other", b"x"), at("dangling (1)"));
    assert_eq!(fs::read(at("target")).unwrap(), b"mine");
    assert!(!at("missing").exists());
    // A link to a folder that the user names is the user's own choice.
    fs::create_dir(at("folder")).unwrap();
    symlink(at("folder"), at("short")).unwrap();
    assert_eq!(receive(&at("short"), "a", b"x"), at("short/a"));
    assert_eq!(listing(&at("folder")), ["a"]);
}

#[test]
fn out_names_a_folder_or_a_new_file() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(receive(&at("new.bin"), "peer", b"x"), at("new.bin"));
    // The user's own name is taken as it is.
    assert_eq!(receive(&at(".hidden"), "peer", b"x"), at(".hidden"));
    fs::create_dir(at("d")).unwrap();
    assert_eq!(receive(&at("d/"), "peer", b"x"), at("d/peer"));
    for bad in ["missing/x", "missing/", "new.bin/x"] {
        assert!(Destination::path(at(bad)).is_err(), "{bad}");
    }
    let error = Destination::path(at("missing/x")).unwrap_err();
    assert!(matches!(&error, SaveError::NoFolder { path } if path.ends_with("missing")), "{error}");
    let error = Destination::path(folder.path().join("missing/.")).unwrap_err();
    assert!(matches!(&error, SaveError::NoFolder { .. }), "a folder, as the dot says: {error}");
}

#[test]
fn a_pipe_or_a_device_is_no_place_to_save_to() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    testbed::fifo::make(&pipe);
    let link = folder.path().join("link");
    symlink("/dev/null", &link).unwrap();
    // A descriptor on a regular file is a link in /proc: a new file beside it is not what was asked for.
    let file = fs::File::create(folder.path().join("output")).unwrap();
    let descriptor = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
    let paths =
        ["/dev/null", "/dev/stdout", "/dev/fd/1", "/dev/nul", "/proc/new", "/sys/new"].map(PathBuf::from);
    for path in paths.into_iter().chain([pipe, link, descriptor]) {
        let error = Destination::path(&path).unwrap_err();
        assert!(matches!(error, SaveError::NotRegular { .. }), "{path:?}: {error}");
    }
    assert!(Destination::path("/dev/shm/new").is_ok());
}

#[test]
fn a_part_that_was_exchanged_is_not_taken_for_the_drop() {
    let exchanges: [fn(&Path); 3] = [
        |part| fs::remove_file(part).unwrap(),
        |part| {
            fs::remove_file(part).unwrap();
            fs::write(part, "evil").unwrap();
        },
        |part| {
            fs::hard_link(part, part.with_extension("kept")).unwrap();
            fs::remove_file(part).unwrap();
            symlink(part.with_extension("kept"), part).unwrap();
        },
    ];
    for exchange in exchanges {
        let folder = folder();
        let destination = Destination::path(folder.path()).unwrap();
        let mut incoming = Incoming::of_nobody(&destination, "a", 4).unwrap();
        incoming.append(b"abc").unwrap();
        incoming.reserve_tail(1).unwrap();
        exchange(&folder.path().join(&listing(folder.path())[0]));
        let others = listing(folder.path());
        // Before the sender is told that nothing can fail here any more, and after it.
        let error = incoming.reserve_tail(1).unwrap_err();
        assert!(matches!(error, SaveError::PartReplaced { .. }), "{error}");
        incoming.append(b"d").unwrap();
        let error = unsaved(incoming);
        assert!(matches!(error, SaveError::PartReplaced { .. }), "{error}");
        assert_eq!(listing(folder.path()), others, "what others put there stays");
    }
}

#[test]
fn a_drop_too_large_for_the_disk_is_refused_before_it_is_sent() {
    let folder = folder();
    let destination = Destination::path(folder.path()).unwrap();
    let error = Incoming::of_nobody(&destination, "a", u64::MAX / 2).unwrap_err();
    assert!(matches!(error, SaveError::NoSpace { .. }), "{error}");
    assert!(listing(folder.path()).is_empty());
}

#[test]
fn an_exchanged_folder_does_not_divert_the_drop() {
    let outer = folder();
    let at = |name: &str| outer.path().join(name);
    fs::create_dir(at("d")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    let destination = Destination::path(at("d")).unwrap();
    fs::rename(at("d"), at("moved")).unwrap();
    symlink(at("elsewhere"), at("d")).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", 1).unwrap();
    incoming.append(b"x").unwrap();
    saved(incoming);
    assert!(listing(&at("elsewhere")).is_empty());
    assert_eq!(listing(&at("moved")), ["a"]);
}

#[test]
fn a_small_spooled_drop_is_held_in_memory() {
    let destination = Destination::spool();
    assert!(destination.is_spool());
    let mut incoming = Incoming::of_nobody(&destination, "", 5).unwrap();
    incoming.append(b"he").unwrap();
    incoming.reserve_tail(3).unwrap();
    incoming.append(b"llo").unwrap();
    let Ok((FinishedFile::Spooled(mut spool), _)) = incoming.finish() else { panic!() };
    assert_eq!(spool.in_memory(), Some(&b"hello"[..]));
    let mut bytes = Vec::new();
    spool.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"hello");
}

/// What a fetch has left in this folder that was interrupted at `ready`.
fn interrupted(folder: &Path) -> Incoming {
    let destination = Destination::path(folder).unwrap();
    let mut incoming = Incoming::of_nobody(&destination, "a", 4).unwrap();
    incoming.append(b"abc").unwrap();
    incoming.reserve_tail(1).unwrap();
    incoming
}

fn record(folder: &Path) -> PathBuf {
    let name = listing(folder).into_iter().find(|name| name.ends_with(".record")).expect("a record");
    folder.join(name)
}

#[test]
fn what_another_process_is_at_work_on_is_left_alone() {
    let folder = folder();
    let destination = Destination::path(folder.path()).unwrap();
    let incoming = interrupted(folder.path());
    assert!(destination.unfinished(None).is_empty());
    drop(incoming);
    assert_eq!(listing(folder.path()).len(), 2);
    assert_eq!(destination.unfinished(None).len(), 1);
    let other = "0000".parse().unwrap();
    assert!(destination.unfinished(Some(&other)).is_empty(), "another token");
}

#[test]
fn a_torn_record_is_the_one_before_it() {
    use std::os::unix::fs::FileExt;
    let folder = folder();
    let destination = Destination::path(folder.path()).unwrap();
    drop(interrupted(folder.path()));
    let record = record(folder.path());
    let bytes = fs::read(&record).unwrap();
    for slot in [0, 4_096_usize] {
        let file = fs::File::options().write(true).open(&record).unwrap();
        file.write_all_at(&[!bytes[slot + 100]], slot as u64 + 100).unwrap();
        let found = destination.unfinished(None);
        assert_eq!(found.len(), 1, "one slot is torn");
        drop(found);
        fs::write(&record, &bytes).unwrap();
    }
}

#[test]
fn a_record_without_a_whole_slot_is_removed_and_what_is_not_ours_is_left_alone() {
    let folder = folder();
    let destination = Destination::path(folder.path()).unwrap();
    drop(interrupted(folder.path()));
    let record = record(folder.path());
    let part = PathBuf::from(record.to_str().unwrap().strip_suffix(".record").unwrap());
    let bytes = fs::read(&record).unwrap();
    let altered = |at: usize| {
        let mut altered = bytes.clone();
        (altered[at], altered[4_096 + at]) = (bytes[at] + 1, bytes[4_096 + at] + 1);
        altered
    };
    // Another version of its form, whole or cut.
    for theirs in [altered(7), altered(7)[..8].to_vec()] {
        fs::write(&record, &theirs).unwrap();
        assert!(destination.unfinished(None).is_empty() && destination.remove_damaged().is_empty());
        assert_eq!(fs::read(&record).unwrap(), theirs);
    }
    // Under another name it is a person's.
    let other = folder.path().join(".a.deaddrop-notes.record");
    fs::write(&other, b"mine").unwrap();
    let cut = |len: usize| bytes[..len].to_vec();
    let other_content = [vec![0; 512], vec![0; 4_608], b"mine".to_vec(), vec![b'x'; 4_608]];
    let ours = [altered(100), altered(0), altered(100)[..512].to_vec(), cut(511), cut(8), cut(7), cut(0)];
    for damaged in ours.into_iter().chain(other_content) {
        fs::write(&record, &damaged).unwrap();
        let used = fs::File::open(&record).unwrap();
        used.lock().unwrap();
        assert!(destination.remove_damaged().is_empty(), "another process is at work on it");
        drop(used);
        assert!(destination.unfinished(None).is_empty());
        assert_eq!(destination.remove_damaged(), [&*part]);
        assert!(part.exists() && !record.exists());
        assert!(destination.remove_damaged().is_empty());
    }
    assert_eq!(fs::read(other).unwrap(), b"mine");
    // Without a part there is nothing to look at.
    fs::remove_file(&part).unwrap();
    fs::write(&record, altered(100)).unwrap();
    assert!(destination.remove_damaged().is_empty() && !record.exists());
}

#[test]
fn what_is_stale_is_swept_and_nothing_else() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let destination = Destination::path(folder.path()).unwrap();
    // As long as a drop can be had.
    drop(interrupted(folder.path()));
    assert_eq!(destination.unfinished(None).len(), 1);
    assert_eq!(listing(folder.path()).len(), 2);
    destination.unfinished(None).remove(0).expire();
    // What looks like it.
    fs::write(at(".b.deaddrop-0123456789abcdef"), "mine").unwrap();
    fs::write(at(".b.deaddrop-0123456789abcdef.record"), "mine").unwrap();
    symlink(at("missing"), at(".c.deaddrop-0123456789abcdef.record")).unwrap();
    let others = 3;
    let locked = interrupted(folder.path());
    assert!(destination.unfinished(None).is_empty());
    drop(locked);
    assert_eq!(listing(folder.path()).len(), others + 2, "{:?}", listing(folder.path()));
    // A whole drop is never stale.
    let mut incoming = interrupted(folder.path());
    incoming.append(b"d").unwrap();
    fs::write(at("a"), "taken").unwrap();
    let Ok((_, leftover)) = incoming.finish() else { panic!("not saved") };
    drop(leftover);
    for found in destination.unfinished(None) {
        found.expire();
    }
    let left = destination.unfinished(None);
    assert!(left.len() == 1 && left[0].is_whole(), "{left:?}");
    assert_eq!(fs::read(at("a (1)")).unwrap(), b"abcd");
}
