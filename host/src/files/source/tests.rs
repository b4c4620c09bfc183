use super::*;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn open(path: &Path) -> Source {
    Source::File(SourceFile::open(path).unwrap())
}

fn message(bytes: &[u8]) -> Result<SourceMessage, SourceError> {
    SourceMessage::from_reader(bytes)
}

#[test]
fn any_part_can_be_read_and_nothing_past_the_end() {
    let (_folder, path) = file(b"0123456789");
    for source in [open(&path), Source::Message(message(b"0123456789").unwrap())] {
        assert_eq!(source.size(), 10);
        let mut buffer = [0; 4];
        source.read_at(6, &mut buffer).unwrap();
        assert_eq!(&buffer, b"6789");
        for offset in [7, 10, 11, u64::MAX - 1] {
            assert!(source.read_at(offset, &mut buffer).is_err(), "{offset}");
        }
        source.read_at(10, &mut []).unwrap();
    }
}

#[test]
fn every_change_is_noticed() {
    let changes: [fn(&Path); 5] = [
        // Appended to, cut, rewritten in place with the old size, replaced and removed.
        |path| OpenOptions::new().append(true).open(path).unwrap().write_all(b"x").unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(3).unwrap(),
        |path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(9)).unwrap();
        },
        |path| {
            fs::write(path.with_extension("new"), b"0123456789").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        },
        |path| fs::remove_file(path).unwrap(),
    ];
    for (n, change) in changes.iter().enumerate() {
        let (_folder, path) = file(b"0123456789");
        let source = open(&path);
        assert!(source.unchanged().unwrap());
        change(&path);
        assert!(!source.unchanged().unwrap(), "change {n}");
    }
}

#[test]
fn a_change_of_name_or_rights_is_no_change() {
    let changes: [fn(&Path); 4] = [
        |path| fs::rename(path, path.with_extension("moved")).unwrap(),
        |path| fs::hard_link(path, path.with_extension("link")).unwrap(),
        |path| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap(),
        |path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap()).unwrap();
        },
    ];
    for (n, change) in changes.iter().enumerate() {
        let (_folder, path) = file(b"0123456789");
        let file = File::open(&path).unwrap();
        let source = open(&path);
        let ctime = || file.metadata().map(|now| (now.ctime(), now.ctime_nsec())).unwrap();
        let before = ctime();
        // The file system's clock ticks coarsely: not before it has moved on does the change show in ctime.
        std::thread::sleep(Duration::from_millis(20));
        change(&path);
        assert!(ctime() != before, "change {n}");
        assert!(source.unchanged().unwrap(), "change {n}");
    }
}

#[test]
fn what_is_sent_is_what_was_offered_even_if_the_path_is_exchanged() {
    let (folder, path) = file(b"offered");
    let source = open(&path);
    fs::write(folder.path().join("other"), "another").unwrap();
    fs::rename(folder.path().join("other"), &path).unwrap();
    let mut buffer = [0; 7];
    source.read_at(0, &mut buffer).unwrap();
    assert_eq!(&buffer, b"offered");
}

#[test]
fn only_regular_files_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| SourceFile::open(path).unwrap_err().to_string();
    assert!(refused(folder.path()).contains("folder"));
    assert!(refused(&folder.path().join("missing")).contains("no file"));
    assert!(refused(Path::new("/dev/null")).contains("not a regular file"));
    for path in ["/proc/version", "/sys/class/net/lo/mtu"] {
        assert!(
            refused(Path::new(path)).contains("states a size"),
            "{path} would be sent as empty or cut short"
        );
    }
    let pipe = folder.path().join("pipe");
    testbed::fifo::make(&pipe);
    assert!(refused(&pipe).contains("not a regular file"), "and without waiting for a writer");
}

#[test]
fn the_name_is_the_files_own_unless_another_is_given() {
    let (_folder, path) = file(b"");
    let source = SourceFile::open(&path).unwrap();
    assert_eq!(source.name(None).unwrap().as_str(), "a.txt");
    assert_eq!(source.name(Some("b")).unwrap().as_str(), "b");
    for bad in ["", "a/b", "a\0b", &"x".repeat(256)] {
        let error = source.name(Some(bad)).unwrap_err();
        assert!(matches!(error, SourceError::NameEmpty | SourceError::Name(_)), "{bad:?}: {error}");
    }
}

#[test]
fn a_message_has_a_limit() {
    let longest = vec![7; MESSAGE_MAX];
    assert_eq!(message(&longest).unwrap().bytes(), longest);
    let error = message(&vec![7; MESSAGE_MAX + 1]).unwrap_err();
    assert!(matches!(error, SourceError::MessageTooLong), "{error}");
    assert!(SourceMessage::from_bytes(Zeroizing::new(vec![7; MESSAGE_MAX])).is_ok());
    assert!(SourceMessage::from_bytes(Zeroizing::new(vec![7; MESSAGE_MAX + 1])).is_err());
    assert_eq!(message(b"").unwrap().bytes(), b"");
}

#[test]
fn a_message_is_read_into_memory_that_does_not_move() {
    /// Gives one byte at a time, and says where it was asked to put it.
    struct Slow<'a>(&'a [u8], Vec<usize>);
    impl Read for &mut Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1.push(buffer.as_ptr().addr());
            let (first, rest) = self.0.split_at(self.0.len().min(1));
            self.0 = rest;
            buffer[..first.len()].copy_from_slice(first);
            Ok(first.len())
        }
    }
    let mut reader = Slow(b"secret", Vec::new());
    let message = SourceMessage::from_reader(&mut reader).unwrap();
    let start = message.bytes().as_ptr().addr();
    assert_eq!(reader.1, (start..=start + 6).collect::<Vec<_>>());
}

#[test]
fn a_message_that_is_taken_over_is_not_copied() {
    let bytes = Zeroizing::new(b"secret".to_vec());
    let before = bytes.as_ptr();
    assert_eq!(SourceMessage::from_bytes(bytes).unwrap().bytes().as_ptr(), before);
}

#[test]
fn a_message_is_not_shown() {
    assert_eq!(format!("{:?}", message(b"secret").unwrap()), "SourceMessage(..)");
}
