use core::fmt::Display;

use deaddrop_core::offer::{EndReason, Kind, Name, NameError};

pub(super) fn keep() {
    keep![
        Kind::code,
        Kind::from_code,
        Kind::word,
        <Kind as Display>::fmt,
        Name::new,
        Name::as_str,
        <NameError as Display>::fmt,
        EndReason::code,
        EndReason::from_code,
        EndReason::word,
        <EndReason as Display>::fmt,
    ];
}
