//! A trace facade: one log line for each decision of core (decision 0020).
//!
//! Off by default, and then compiled to nothing. The feature `log` passes the lines to the
//! [`log`](https://docs.rs/log) crate under the target `deaddrop` (hosts), the feature `defmt` to
//! [`defmt`](https://docs.rs/defmt) (boards). A decision has level debug; what happens for every beacon or
//! every retry has level trace.
//!
//! A line names connections by number and peers by address. It never contains a token, a fetch id, a
//! passphrase or anything derived from one, a drop's name or its bytes: `tests/trace.rs` checks that.

/// Logs a decision at level debug. Arguments are positional, because defmt takes no inline ones.
macro_rules! decision {
    ($text:literal $(, $value:expr)* $(,)?) => {
        $crate::trace::line!(debug, $text $(, $value)*)
    };
}

/// Logs what happens too often for level debug, at level trace.
macro_rules! detail {
    ($text:literal $(, $value:expr)* $(,)?) => {
        $crate::trace::line!(trace, $text $(, $value)*)
    };
}

macro_rules! line {
    ($level:ident, $text:literal $(, $value:expr)*) => {{
        #[cfg(feature = "log")]
        #[allow(clippy::uninlined_format_args, reason = "defmt takes positional arguments alone")]
        {
            log::$level!(target: "deaddrop", $text $(, $value)*);
        }
        #[cfg(feature = "defmt")]
        {
            defmt::$level!($text $(, $value)*);
        }
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        {
            // Never evaluated: keeps the arguments used and type-checked.
            if false {
                let _ = ($(&$value,)*);
            }
        }
    }};
}

pub(crate) use {decision, detail, line};
