//! One line for each decision of core, for the one who asks why something was or was not found.
//!
//! Off by default, and then no code at all. The feature `log` hands the lines to the [`log`](https://docs.rs/log) crate,
//! under the target `deaddrop`, as hosts do; `defmt` to [`defmt`](https://docs.rs/defmt), as boards can. A decision is at
//! level debug; what happens for every beacon or every retry is at level trace.
//!
//! A line names connections by number and peers by address. It never holds a token, a fetch id, a passphrase or anything
//! that grows from one, a drop's name or its bytes: `tests/trace.rs` looks for them.

/// A decision: level debug. Arguments are positional, because that is what both crates understand.
macro_rules! decision {
    ($text:literal $(, $value:expr)* $(,)?) => {
        $crate::trace::line!(debug, $text $(, $value)*)
    };
}

/// What happens too often to be read by default: level trace.
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
            // Nothing is computed; it only has to compile.
            if false {
                let _ = ($(&$value,)*);
            }
        }
    }};
}

pub(crate) use {decision, detail, line};
