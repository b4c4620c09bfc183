//! What is sent of a file beside its name and its content, and what the received file gets of it.

use std::fs::File;
use std::io;

use deaddrop_core::limits::RECORD_MAX;
use deaddrop_core::wire::{Attributes, MODIFIED_MAX};

use crate::platform::{self, Status};

/// Those of an open file.
pub(super) fn read(file: &File, status: &Status) -> io::Result<Attributes> {
    // In the blocks for which a receiver leaves holes, so that it finds the room that it needs.
    let space = platform::space_in_blocks(file, u64::from(RECORD_MAX))?;
    Ok(Attributes {
        executable: status.executable,
        modified: modified(status),
        space: (space < status.size).then_some(space),
    })
}

/// When a file or folder was written last, if that can be sent.
pub(super) fn modified(status: &Status) -> Option<u64> {
    u64::try_from(status.modified.0).ok().filter(|at| *at <= MODIFIED_MAX)
}

/// Gives them to a file, of which everything is written.
pub(super) fn apply(attributes: &Attributes, file: &File) {
    if attributes.executable {
        platform::make_executable(file);
    }
    // Last: each write would change it.
    if let Some(modified) = attributes.modified {
        platform::set_modified(file, modified);
    }
}
