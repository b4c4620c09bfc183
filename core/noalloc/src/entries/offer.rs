use core::fmt::Display;

use deaddrop_core::offer::{Kind, Name, NameError, Reason};

pub(super) fn keep() {
    keep![
        Kind::code,
        Kind::from_code,
        Kind::word,
        <Kind as Display>::fmt,
        Name::new,
        Name::as_str,
        <NameError as Display>::fmt,
        Reason::code,
        Reason::from_code,
        Reason::word,
        <Reason as Display>::fmt,
    ];
}
