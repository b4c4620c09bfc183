//! How much may be fetched: the size of one drop, what the folder may hold, and what the disk keeps free.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deaddrop::text::Bytes;

use crate::cli::Limits;
use crate::platform::{self, Left};

/// What a file takes at least: thousands of empty ones are not nothing.
const FILE_MIN: u64 = 4096;
/// How often the folder is measured again at most, to see whether room has been made in it.
const MEASURED_FOR: Duration = Duration::from_secs(60);
/// One part of so many of the file system's files stays free.
const FILES_FREE: u64 = 50;

/// Why a drop is not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge(u64),
    /// The folder holds so much.
    Total(u64),
    /// The disk has so much free.
    Disk(u64),
    /// The file system has room for few more files.
    Files,
}

impl Refusal {
    /// The word for it, and the fact.
    pub(super) fn told(self, limits: &Limits) -> (&'static str, String) {
        match self {
            Self::TooLarge(size) => (
                "too-large",
                format!("it has {}, more than --max-size {} allows", Bytes(size), Bytes(limits.size)),
            ),
            Self::Total(used) => (
                "total-reached",
                format!("the folder holds {} of the {} of --max-total", Bytes(used), Bytes(limits.total)),
            ),
            Self::Disk(free) => (
                "disk-nearly-full",
                format!("the disk has {} free, and --keep-free keeps {}", Bytes(free), Bytes(limits.free)),
            ),
            Self::Files => (
                "disk-nearly-full",
                "the file system has room for few more files, which are kept free".into(),
            ),
        }
    }
}

/// What of the limits is used up.
pub(super) struct Allowance {
    limits: Limits,
    folder: PathBuf,
    /// What the folder holds, or a little more.
    used: u64,
    /// What is being fetched.
    under_way: u64,
    measured: Instant,
}

impl Allowance {
    /// Measures the folder.
    pub(super) async fn of(folder: &Path, limits: Limits) -> Self {
        let used = measure(folder).await;
        Self { limits, folder: folder.to_owned(), used, under_way: 0, measured: Instant::now() }
    }

    /// Allows a drop of this size, until it is [released](Self::release).
    pub(super) async fn admit(&mut self, size: u64) -> Result<(), Refusal> {
        if size <= self.limits.size && !self.fits(size) && self.measured.elapsed() >= MEASURED_FOR {
            // What was removed from the folder, and what failed to come, is counted until now.
            (self.used, self.measured) = (measure(&self.folder).await + self.under_way, Instant::now());
        }
        let folder = self.folder.clone();
        // A file system that does not say is not judged.
        let left = smol::unblock(move || platform::left(&folder)).await;
        self.decide(size, left)?;
        self.used = self.used.saturating_add(charge(size));
        self.under_way = self.under_way.saturating_add(charge(size));
        Ok(())
    }

    /// A drop of this size is here, in so many files, or has not come.
    pub(super) fn release(&mut self, size: u64, files: u64) {
        self.under_way = self.under_way.saturating_sub(charge(size));
        self.used = self.used.saturating_add(files.saturating_sub(1).saturating_mul(FILE_MIN));
    }

    fn fits(&self, size: u64) -> bool {
        self.used.saturating_add(charge(size)) <= self.limits.total
    }

    fn decide(&self, size: u64, left: Option<Left>) -> Result<(), Refusal> {
        if size > self.limits.size {
            return Err(Refusal::TooLarge(size));
        }
        if !self.fits(size) {
            return Err(Refusal::Total(self.used));
        }
        let Some(Left { bytes, files: (files, all) }) = left else { return Ok(()) };
        let needed = self.limits.free.saturating_add(self.under_way).saturating_add(charge(size));
        if bytes < needed {
            return Err(Refusal::Disk(bytes));
        }
        if files < all / FILES_FREE { Err(Refusal::Files) } else { Ok(()) }
    }
}

fn charge(size: u64) -> u64 {
    size.saturating_add(FILE_MIN)
}

/// What is in a folder and all below it, links not followed. What cannot be read counts nothing.
async fn measure(folder: &Path) -> u64 {
    let folder = folder.to_owned();
    smol::unblock(move || {
        let (mut folders, mut used) = (vec![folder], 0_u64);
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for metadata in entries.flatten().map(|entry| (entry.path(), entry.metadata())) {
                let (path, Ok(metadata)) = metadata else { continue };
                used = used.saturating_add(taken(&metadata));
                if metadata.is_dir() {
                    folders.push(path);
                }
            }
        }
        used
    })
    .await
}

fn taken(metadata: &fs::Metadata) -> u64 {
    if metadata.is_dir() {
        return FILE_MIN;
    }
    charge(platform::taken(metadata))
}

/// Checks that the folder is one, and can be read and written.
pub(super) fn check(folder: &Path) -> io::Result<()> {
    fs::read_dir(folder)?;
    platform::writable(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::block_on;

    const MIB: u64 = 1 << 20;

    fn allowance(folder: &Path, size: u64, total: u64) -> Allowance {
        block_on(Allowance::of(folder, Limits { size, total, free: 0 }))
    }

    #[test]
    fn a_drop_may_have_the_size_that_is_allowed_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut allowance = allowance(folder.path(), MIB, u64::MAX);
        assert_eq!(block_on(allowance.admit(MIB)), Ok(()));
        assert_eq!(block_on(allowance.admit(MIB + 1)), Err(Refusal::TooLarge(MIB + 1)));
        assert_eq!(block_on(allowance.admit(u64::MAX)), Err(Refusal::TooLarge(u64::MAX)));
    }

    #[test]
    fn the_folder_holds_no_more_than_the_total_whatever_was_there_and_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/old"), vec![1; 1 << 20]).unwrap();
        let mut allowance = allowance(folder.path(), MIB, 3 * MIB);
        assert_eq!(block_on(allowance.admit(MIB)), Ok(()));
        assert!(matches!(block_on(allowance.admit(MIB)), Err(Refusal::Total(_))));
        // Once it is here it counts as before.
        allowance.release(MIB, 1);
        assert!(matches!(block_on(allowance.admit(MIB)), Err(Refusal::Total(_))));
        // Room is made, and found after a while.
        fs::remove_file(folder.path().join("in/old")).unwrap();
        assert!(matches!(block_on(allowance.admit(MIB)), Err(Refusal::Total(_))));
        allowance.measured -= MEASURED_FOR;
        assert_eq!(block_on(allowance.admit(MIB)), Ok(()));
    }

    #[test]
    fn empty_files_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut allowance = allowance(folder.path(), MIB, 10 * FILE_MIN);
        let admitted = (0..100).filter(|_| block_on(allowance.admit(0)).is_ok()).count();
        assert_eq!(admitted, 10);
    }

    #[test]
    fn the_disk_keeps_what_is_to_stay_free() {
        let limits = Limits { size: MIB, total: u64::MAX, free: 2 * MIB };
        let folder = tempfile::tempdir().unwrap();
        let mut allowance = block_on(Allowance::of(folder.path(), limits));
        let left = |bytes, files| Some(Left { bytes, files });
        assert_eq!(allowance.decide(MIB, left(3 * MIB + FILE_MIN, (0, 0))), Ok(()));
        let short = 3 * MIB + FILE_MIN - 1;
        assert_eq!(allowance.decide(MIB, left(short, (0, 0))), Err(Refusal::Disk(short)));
        // What is under way will take its part.
        allowance.under_way = MIB;
        assert!(allowance.decide(MIB, left(3 * MIB + FILE_MIN, (0, 0))).is_err());
        assert_eq!(allowance.decide(MIB, left(9 * MIB, (20, 1_000))), Ok(()));
        assert_eq!(allowance.decide(MIB, left(9 * MIB, (19, 1_000))), Err(Refusal::Files));
        assert_eq!(allowance.decide(MIB, None), Ok(()));
    }
}
