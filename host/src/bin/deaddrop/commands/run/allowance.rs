//! How much may be fetched: the size of one drop, what the folder may hold, and what the disk keeps free.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deaddrop::{Kind, text::Bytes};

use super::queue::PARALLEL;
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
    /// What the files and folders may take beside that of what is being fetched.
    reserved: u64,
    /// When the folder was measured. `None` until it was.
    measured: Option<Instant>,
}

impl Allowance {
    /// Of a folder that is not measured yet: that can take minutes, and a service is to be ready before.
    pub(super) fn of(folder: &Path, limits: Limits) -> Self {
        Self { limits, folder: folder.to_owned(), used: 0, under_way: 0, reserved: 0, measured: None }
    }

    /// Measures the folder.
    pub(super) async fn measure(&mut self) {
        // What was removed from the folder, and what failed to come, is counted until now.
        self.used = measure(&self.folder).await + self.under_way;
        self.measured = Some(Instant::now());
    }

    /// Allows a drop of this size, until it is [released](Self::release). Returns how many files and folders a folder may
    /// have: how many it has is not listed, and a million that are empty come in 25 MB.
    pub(super) async fn admit(&mut self, kind: Kind, size: u64) -> Result<u32, Refusal> {
        let wrong = |at: Instant| !self.fits(size) && at.elapsed() >= MEASURED_FOR;
        if size <= self.limits.size && self.measured.is_none_or(wrong) {
            self.measure().await;
        }
        let folder = self.folder.clone();
        // A file system that does not say is not judged.
        let left = smol::unblock(move || platform::left(&folder)).await;
        self.decide(size, left)?;
        self.used = self.used.saturating_add(charge(size));
        self.under_way = self.under_way.saturating_add(charge(size));
        let entries = if kind == Kind::Directory { self.entries(left) } else { 1 };
        self.reserved = self.reserved.saturating_add(beside(entries));
        Ok(entries)
    }

    /// How many entries there is room for, beside those that others may have which are fetched at the same time.
    fn entries(&self, left: Option<Left>) -> u32 {
        let mut room = self.limits.total.saturating_sub(self.used).saturating_sub(self.reserved) / FILE_MIN;
        if let Some(Left { bytes, files: (files, all) }) = left {
            let taken = self.limits.free.saturating_add(self.under_way).saturating_add(self.reserved);
            room = room.min(bytes.saturating_sub(taken) / FILE_MIN);
            if all > 0 {
                room = room.min(files.saturating_sub(all / FILES_FREE));
            }
        }
        // One is paid for already.
        u32::try_from(1 + room / PARALLEL as u64).unwrap_or(u32::MAX)
    }

    /// A drop of this size, for which so many files and folders were allowed, is here with so many, or has not come.
    pub(super) fn release(&mut self, size: u64, allowed: u32, entries: u32) {
        self.reserved = self.reserved.saturating_sub(beside(allowed));
        self.under_way = self.under_way.saturating_sub(charge(size));
        self.used = self.used.saturating_add(beside(entries));
    }

    fn fits(&self, size: u64) -> bool {
        self.used.saturating_add(self.reserved).saturating_add(charge(size)) <= self.limits.total
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

/// What so many entries take beside the first, which is in the charge of each drop.
fn beside(entries: u32) -> u64 {
    u64::from(entries.saturating_sub(1)).saturating_mul(FILE_MIN)
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
        Allowance::of(folder, Limits { size, total, free: 0 })
    }

    #[test]
    fn a_drop_may_have_the_size_that_is_allowed_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut allowance = allowance(folder.path(), MIB, u64::MAX);
        assert!(block_on(allowance.admit(Kind::File, MIB)).is_ok());
        assert_eq!(block_on(allowance.admit(Kind::File, MIB + 1)), Err(Refusal::TooLarge(MIB + 1)));
        assert_eq!(block_on(allowance.admit(Kind::File, u64::MAX)), Err(Refusal::TooLarge(u64::MAX)));
    }

    #[test]
    fn the_folder_holds_no_more_than_the_total_whatever_was_there_and_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/old"), vec![1; 1 << 20]).unwrap();
        let mut allowance = allowance(folder.path(), MIB, 3 * MIB);
        assert!(block_on(allowance.admit(Kind::File, MIB)).is_ok());
        assert!(matches!(block_on(allowance.admit(Kind::File, MIB)), Err(Refusal::Total(_))));
        // Once it is here it counts as before.
        allowance.release(MIB, 1, 1);
        assert!(matches!(block_on(allowance.admit(Kind::File, MIB)), Err(Refusal::Total(_))));
        // Room is made, and found after a while.
        fs::remove_file(folder.path().join("in/old")).unwrap();
        assert!(matches!(block_on(allowance.admit(Kind::File, MIB)), Err(Refusal::Total(_))));
        allowance.measured = allowance.measured.map(|at| at - MEASURED_FOR);
        assert!(block_on(allowance.admit(Kind::File, MIB)).is_ok());
    }

    #[test]
    fn empty_files_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut allowance = allowance(folder.path(), MIB, 10 * FILE_MIN);
        let admitted = (0..100).filter(|_| block_on(allowance.admit(Kind::File, 0)).is_ok()).count();
        assert_eq!(admitted, 10);
    }

    #[test]
    fn four_folders_at_once_have_no_more_entries_than_there_is_room_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut allowance = allowance(folder.path(), MIB, 44 * FILE_MIN);
        let admit = |allowance: &mut Allowance| block_on(allowance.admit(Kind::Directory, 0)).unwrap();
        let mut allowed = [(); 4].map(|()| admit(&mut allowance));
        // Each in turn takes all that it may, and another begins.
        for n in 0..40 {
            let most = &mut allowed[n % 4];
            allowance.release(0, *most, *most);
            assert!(allowance.used + allowance.reserved <= 44 * FILE_MIN);
            *most = match block_on(allowance.admit(Kind::Directory, 0)) {
                Ok(most) => most,
                Err(refusal) => {
                    assert!(matches!(refusal, Refusal::Total(_)) && allowance.used > 40 * FILE_MIN);
                    return;
                }
            };
        }
        panic!("there is room for ever");
    }

    #[test]
    fn a_folder_has_no_more_entries_than_the_disk_has_room_for() {
        let folder = tempfile::tempdir().unwrap();
        let left = |bytes, files| Some(Left { bytes, files });
        let mut empty = Allowance::of(folder.path(), Limits { size: MIB, total: u64::MAX, free: MIB });
        assert_eq!(empty.entries(left(MIB + 40 * FILE_MIN, (0, 0))), 11);
        assert_eq!(empty.entries(left(u64::MAX, (60, 1_000))), 11);
        empty.under_way = 20 * FILE_MIN;
        assert_eq!(empty.entries(left(MIB + 40 * FILE_MIN, (0, 0))), 6);
    }

    #[test]
    fn the_disk_keeps_what_is_to_stay_free() {
        let limits = Limits { size: MIB, total: u64::MAX, free: 2 * MIB };
        let folder = tempfile::tempdir().unwrap();
        let mut allowance = Allowance::of(folder.path(), limits);
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
