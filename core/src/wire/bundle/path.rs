//! Which paths and link targets a bundle may have: none that leads out of it.

use core::fmt;

use crate::limits::{BUNDLE_DEPTH_MAX, BUNDLE_PATH_MAX, NAME_MAX};

/// Why a path is none that an entry of a bundle may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathFault {
    /// More than [`BUNDLE_PATH_MAX`] bytes.
    Length,
    /// More than [`BUNDLE_DEPTH_MAX`] names.
    Depth,
    /// A name in it is empty, `.` or `..`, has NUL, or more than [`NAME_MAX`] bytes. A path from the root begins with an
    /// empty name.
    Name,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "its path has more than {BUNDLE_PATH_MAX} bytes"),
            Self::Depth => write!(f, "it is more than {BUNDLE_DEPTH_MAX} folders deep"),
            Self::Name => write!(f, "its name is empty, a dot, two dots, or longer than {NAME_MAX} bytes"),
        }
    }
}

impl core::error::Error for PathFault {}

/// Checks the path of an entry: 1 to [`BUNDLE_DEPTH_MAX`] names with `/` between them.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_path(path: &str) -> Result<(), PathFault> {
    if path.len() > BUNDLE_PATH_MAX {
        return Err(PathFault::Length);
    }
    let mut depth = 0;
    for name in path.split('/') {
        depth += 1;
        if depth > BUNDLE_DEPTH_MAX {
            return Err(PathFault::Depth);
        }
        if !is_name(name) {
            return Err(PathFault::Name);
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.contains('\0')
}

/// Whether a link at `path` that points to `target` stays within its top-level folder, whatever other links the
/// bundle has.
///
/// All `..` stand first. So they are taken from the link's own folder, which is a real one: behind the name of
/// another link, `..` would be the parent of that link's target. And they end below the top-level folder.
pub fn is_inside(path: &str, target: &str) -> bool {
    if target.len() > BUNDLE_PATH_MAX {
        return false;
    }
    // Names before that of the link: how deep its folder is.
    let depth = path.split('/').count() - 1;
    let (mut up, mut names) = (0, 0);
    for name in target.split('/') {
        if name == ".." && names == 0 {
            up += 1;
        } else if is_name(name) {
            names += 1;
        } else {
            return false;
        }
    }
    up < depth && names <= BUNDLE_DEPTH_MAX
}
