//! Files of telling sizes arrive equal, and a large one takes no more memory than a small one.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use crate::support::{Host, Lan, Process, fetch, names, noise, send_file, write};

/// The most memory either side may ever have had resident.
/// The program itself counts too, and without optimisation it is some 20 MiB larger.
const MEMORY_KIB: u64 = if cfg!(debug_assertions) { 80 * 1024 } else { 64 * 1024 };

#[test]
fn files_around_the_size_of_a_record_arrive_equal() {
    let lan = Lan::alone();
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 131_072] {
        let here = tempfile::tempdir().unwrap();
        let (name, content) = (format!("file of {size}.bin"), noise(size as u64 + 1, size));
        let path = write(folder.path(), &name, &content);
        let (_sending, token, _) = send_file(host, folder.path(), &path, &[]);
        let mut fetching = fetch(host, here.path(), host, &token, &[]);
        assert_eq!(fetching.event("received")["size"], size);
        assert_eq!(fetching.exit_code(), 0);
        assert_eq!(names(here.path()), [&*name]);
        assert!(fs::read(here.path().join(name)).unwrap() == content, "{size} bytes arrived differently");
    }
}

/// The most memory that a process has had resident so far; `None` once it has ended.
fn peak(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Sends the file, and checks that it arrives equal within the memory allowed.
fn arrives_in_little_memory(host: &Host, path: &Path, here: &Path) {
    let (mut sending, token, _) = send_file(host, path.parent().unwrap(), path, &[]);
    let mut fetching = fetch(host, here, host, &token, &[]);
    let mut peaks = (0, 0);
    let received = loop {
        // A high-water mark only rises: the last one seen counts.
        peaks = (peak(&sending).unwrap_or(peaks.0), peak(&fetching).unwrap_or(peaks.1));
        if let Some(received) = fetching.event_within("received", Duration::from_millis(20)) {
            break received;
        }
        assert!(fetching.last()["event"] != "error", "{:?}", fetching.events);
    };
    peaks = (peak(&sending).unwrap_or(peaks.0), peak(&fetching).unwrap_or(peaks.1));
    assert_eq!(fetching.exit_code(), 0, "{:?}", fetching.events);
    sending.event("fetched");
    assert!(peaks.0 > 0 && peaks.1 > 0, "no memory was seen");
    assert!(peaks.0 <= MEMORY_KIB && peaks.1 <= MEMORY_KIB, "KiB of sender and receiver: {peaks:?}");
    assert_equal(path, &here.join(received["path"].as_str().unwrap()));
}

fn assert_equal(one: &Path, other: &Path) {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    assert_eq!(one.metadata().unwrap().len(), other.metadata().unwrap().len());
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let n = one.read(&mut left).unwrap();
        if n == 0 {
            return;
        }
        other.read_exact(&mut right[..n]).unwrap();
        assert!(left[..n] == right[..n], "other bytes arrived");
    }
}

#[test]
fn a_large_file_takes_little_memory() {
    let lan = Lan::alone();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = write(folder.path(), "large.bin", &noise(8, 300 << 20));
    arrives_in_little_memory(&lan.hosts[0], &path, here.path());
}

/// 4 GiB and a few bytes: sizes and offsets past 32 bits. With `DEADDROP_TEST_LONG` only.
#[test]
fn a_file_past_four_gibibytes_arrives_equal() {
    const SIZE: u64 = (4 << 30) + 5;
    if std::env::var_os("DEADDROP_TEST_LONG").is_none() {
        return;
    }
    let lan = Lan::alone();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stat = rustix::fs::statvfs(folder.path()).unwrap();
    assert!(stat.f_bavail * stat.f_frsize > SIZE + (1 << 30), "5 GiB of free space are needed");
    let path = folder.path().join("huge.bin");
    let mut file = File::create(&path).unwrap();
    // Mostly a hole, with something to tell one part from another.
    file.set_len(SIZE).unwrap();
    for (seed, at) in (0..SIZE).step_by(97 << 20).enumerate() {
        file.seek(SeekFrom::Start(at)).unwrap();
        let piece = noise(seed as u64, usize::try_from((SIZE - at).min(1 << 20)).unwrap());
        file.write_all(&piece).unwrap();
    }
    drop(file);
    arrives_in_little_memory(&lan.hosts[0], &path, here.path());
}
