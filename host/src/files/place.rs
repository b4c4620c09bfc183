//! Gives a whole file or folder its name, without replacing anything.

use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer;

use super::save::SaveError;
use crate::platform::rename_new;

/// How many other names are tried for what has a name that is taken, within one bundle.
pub(super) const NAMES_MAX: u16 = 9_999;
/// How many other names a whole drop may get.
pub(super) const PLACES_MAX: u16 = 65_000;
/// So many other names are tried one by one. After them the first free one is searched for.
const ONE_BY_ONE: u16 = 9;

/// Renames `from` in one folder to `wanted` in another, or to the first other name that is free; returns which.
pub(super) fn place(
    source: &Dir,
    from: &str,
    target: &Dir,
    wanted: &str,
    path: &Path,
) -> Result<String, SaveError> {
    let mut n = 0;
    while n <= PLACES_MAX {
        let name = numbered(wanted, n);
        match rename_new(source, from, target, &name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n == ONE_BY_ONE => {
                n = free_after(n, |n| is_taken(target, wanted, n));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(error) => return Err(SaveError::io("save", &path.join(name), error)),
        }
    }
    Err(SaveError::NamesTaken { path: path.join(wanted), tried: PLACES_MAX })
}

/// A number after `taken` whose name is free and the one before it is not, or one past the last: found in few steps,
/// because somebody may give thousands of drops the same name.
fn free_after(taken: u16, is_taken: impl Fn(u16) -> bool) -> u16 {
    let (mut taken, mut free, mut step) = (taken, PLACES_MAX + 1, 1);
    while let Some(next) = taken.checked_add(step).filter(|next| *next <= PLACES_MAX) {
        if !is_taken(next) {
            free = next;
            break;
        }
        (taken, step) = (next, step.saturating_mul(2));
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle) { taken = middle } else { free = middle }
    }
    free
}

fn is_taken(folder: &Dir, wanted: &str, n: u16) -> bool {
    folder.symlink_metadata(numbered(wanted, n)).is_ok()
}

/// The `n`th other name; the 0th is the name itself.
pub(super) fn numbered(name: &str, n: u16) -> String {
    if n == 0 { name.to_owned() } else { offer::numbered(name, n, &mut [0; NAME_MAX]).to_owned() }
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn the_next_of_many_names_is_found_in_few_steps() {
        for names in [9, 10, 11, 99, 1_000, 9_999, 10_000, 64_998, 64_999, 65_000] {
            let steps = std::cell::Cell::new(0);
            let is_taken = |n| {
                steps.set(steps.get() + 1);
                n <= names
            };
            assert_eq!(free_after(9, is_taken), names + 1);
            assert!(steps.get() <= 32, "{names}: {}", steps.get());
        }
        // Where some in between are free, one of them is.
        assert!([12, 14].contains(&free_after(9, |n| n != 12 && n < 14)));
    }

    #[test]
    fn a_drop_whose_name_is_taken_often_gets_the_next_number() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        for n in 0..40 {
            std::fs::write(folder.path().join("new"), n.to_string()).unwrap();
            let name = place(&dir, "new", &dir, "a.txt", folder.path()).unwrap();
            assert_eq!(name, numbered("a.txt", n));
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), n.to_string().as_bytes());
        }
    }
}
