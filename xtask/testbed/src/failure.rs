//! The error of everything here and in `xtask`: a text for a person.

use std::fmt;

/// Why something did not work. Empty when the reason has been printed already.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    /// With this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For `map_err`: puts what was tried before the error.
    pub fn at<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ends a test with the failure's text.
#[track_caller]
pub(crate) fn unwrap<T>(outcome: Result<T, Failure>) -> T {
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}
