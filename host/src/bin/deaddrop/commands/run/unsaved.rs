//! Tells at once that drops cannot be saved, and once as long as the reason is the same.

use std::cell::Cell;
use std::io::ErrorKind;
use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;

use deaddrop::{Error, SaveError};

use super::allowance;
use super::fetcher::Fetcher;
use crate::exit::Failure;
use crate::ui::Event;

/// The reason that was told last. Paths, of which each drop has another, do not make it another.
#[derive(Default)]
pub(super) struct Told(Cell<Option<Reason>>);

type Reason = (Discriminant<SaveError>, Option<ErrorKind>);

impl Told {
    /// Whether this is to be told: the last reason was another, or something was saved since.
    fn is_new(&self, error: &SaveError) -> bool {
        let kind = match error {
            SaveError::Io { error, .. } => Some(error.kind()),
            _ => None,
        };
        let reason = Some((discriminant(error), kind));
        self.0.replace(reason) != reason
    }

    /// A drop was saved.
    pub(super) fn saved(&self) {
        self.0.set(None);
    }
}

/// The part of an error that is of this machine, so that every drop may meet it.
pub(super) fn of(error: &Error) -> Option<&SaveError> {
    match error {
        Error::Kept { error, .. } => of(error),
        Error::Save(
            error @ (SaveError::NoFolder { .. }
            | SaveError::NoSpace { .. }
            | SaveError::PartReplaced { .. }
            | SaveError::FileSizeLimit { .. }
            | SaveError::Io { .. }),
        ) => Some(error),
        _ => None,
    }
}

/// Looks whether something can be saved into the folder. Where nothing can, a claim would keep the drop from others in
/// vain.
pub(super) async fn check(folder: PathBuf) -> Result<(), SaveError> {
    smol::unblock(move || {
        allowance::check(&folder).map_err(|error| match error.kind() {
            ErrorKind::NotFound => SaveError::NoFolder { path: folder },
            _ => SaveError::Io { operation: "save into", path: folder, error },
        })
    })
    .await
}

impl Fetcher<'_> {
    /// Warns that drops cannot be saved, if that is new.
    pub(super) async fn warn_unsaved(&self, error: &SaveError) -> Result<(), Failure> {
        if !self.unsaved.is_new(error) {
            return Ok(());
        }
        let message =
            format!("a drop cannot be saved: {error}; mend that, and it is fetched if it is still offered");
        self.ui.show(&Event::Warning { code: "not-saved", message: &message }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, kind: ErrorKind) -> SaveError {
        SaveError::Io { operation: "create", path: path.into(), error: kind.into() }
    }

    #[test]
    fn a_reason_is_told_once_until_it_is_another_or_something_was_saved() {
        let told = Told::default();
        assert!(told.is_new(&refused("a", ErrorKind::PermissionDenied)));
        assert!(!told.is_new(&refused("b", ErrorKind::PermissionDenied)));
        assert!(told.is_new(&refused("b", ErrorKind::ReadOnlyFilesystem)));
        assert!(told.is_new(&SaveError::NoFolder { path: "c".into() }));
        told.saved();
        assert!(told.is_new(&SaveError::NoFolder { path: "c".into() }));
    }

    #[test]
    fn errors_of_this_machine_are_told_and_those_of_a_drop_are_not() {
        let error = Error::Save(refused("a", ErrorKind::PermissionDenied));
        assert!(of(&error).is_some());
        assert!(of(&Error::Save(SaveError::Excess)).is_none() && of(&Error::Stopped).is_none());
    }

    #[test]
    fn a_plain_file_in_the_place_of_the_folder_is_no_folder_to_save_into() {
        let folder = tempfile::tempdir().unwrap();
        assert!(smol::block_on(check(folder.path().into())).is_ok());
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = smol::block_on(check(file)).unwrap_err();
        assert!(matches!(error, SaveError::Io { error, .. } if error.kind() == ErrorKind::NotADirectory));
        let gone = smol::block_on(check(folder.path().join("gone")));
        assert!(matches!(gone, Err(SaveError::NoFolder { .. })));
    }
}
