//! Free space on the disk of `target/`. A failed run mentions it when it is low, because it may be the cause.

use crate::environment::repo::{Repo, captured};

/// MiB below which a compiler or a test may have failed for lack of space.
const SCARCE: u64 = 1024;

/// A line for a person, if little space is free.
pub(crate) fn hint(repo: &Repo) -> Option<String> {
    // Without `df` there is no hint.
    scarce(&captured(repo.program("df").arg("-Pk").arg(repo.cache("."))).ok()?)
}

/// Reads the table of `df -Pk` (POSIX format).
fn scarce(table: &str) -> Option<String> {
    let kib: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    let mib = kib / 1024;
    (mib < SCARCE).then(|| {
        format!(
            "only {mib} MiB are free on the disk of target/, which may be why; a full run of tests takes 7 GB: make room"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_told_and_enough_is_not() {
        let table = |free: &str| {
            format!(
                "Filesystem     1024-blocks      Used Available Capacity Mounted on\n\
                 /dev/vda         263112772  92805432 {free}      97% /\n"
            )
        };
        assert!(scarce(&table("  2900000")).is_none());
        let told = scarce(&table("   291840")).unwrap();
        assert!(told.starts_with("only 285 MiB are free"), "{told}");
        assert!(scarce("").is_none() && scarce(&table("-")).is_none());
    }

    #[test]
    fn this_machine_says_how_much_is_free() {
        let repo = Repo::here();
        let table = captured(repo.program("df").arg("-Pk").arg(repo.cache("."))).unwrap();
        assert!(
            table.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok())
                > Some(0)
        );
    }
}
