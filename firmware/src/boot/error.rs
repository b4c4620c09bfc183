//! Why a board must not talk, and the state in which it says so.

use core::fmt::{self, Write as _};

use deaddrop_provisioning::ProvisioningError;
use embedded_io_async::{Read, Write};
use heapless::String;

/// Why a board must not talk on the network. `Display` says what happened and what to do, for the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootError {
    /// There is no valid provisioning record.
    Provisioning(ProvisioningError),
    /// The seed store could not be read.
    SeedNotRead,
    /// There is no seed, and no hardware generator that stands alone.
    NoSeed,
    /// There is no seed, and the hardware generator failed.
    NoEntropy,
    /// The seed store could not replace the seed.
    SeedNotReplaced,
    /// The seed store reported success, and reads back another seed.
    SeedDidNotStick,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PROVISION: &str = "cargo xtask firmware config, then cargo xtask firmware flash";
        match self {
            Self::Provisioning(error) => {
                write!(f, "{error}: ")?;
                match error {
                    ProvisioningError::Newer { .. } => {
                        f.write_str("flash a newer program, or make the record with the xtask of this one")
                    }
                    _ => write!(f, "provision this board with {PROVISION}"),
                }
            }
            Self::SeedNotRead => {
                write!(f, "the seed cannot be read from flash: provision again ({PROVISION}), and if that does not help, use another board")
            }
            Self::NoSeed => write!(
                f,
                "there is no seed in flash, and without one what this board sends could be guessed: provision it ({PROVISION})"
            ),
            Self::NoEntropy => write!(
                f,
                "there is no seed in flash and the hardware generator failed: switch off and on, or provision again ({PROVISION})"
            ),
            Self::SeedNotReplaced => f.write_str(
                "the seed cannot be replaced in flash, and to use one twice would give secrets away: switch off and on, and if that does not help, use another board",
            ),
            Self::SeedDidNotStick => f.write_str(
                "the new seed was written and is not in flash, and to use one twice would give secrets away: switch off and on, and if that does not help, use another board",
            ),
        }?;
        f.write_str("; until then it does not talk on the network")
    }
}

impl core::error::Error for BootError {}

/// Prints on the console why the board does not talk, and again whenever something is typed, so that a terminal which is
/// opened later shows it too. Never returns. `why` is a [`BootError`] or a message of the board's own.
pub async fn halt(console: &mut (impl Read + Write), why: impl fmt::Display) -> ! {
    // Fits the longest `BootError`.
    let mut text: String<400> = String::new();
    let _cut_short_at_worst = write!(text, "deaddrop: {why}.\r\n");
    loop {
        // Errors are ignored: there is no other place to report them.
        let _ = console.write_all(text.as_bytes()).await;
        let _ = console.flush().await;
        if !matches!(console.read(&mut [0; 16]).await, Ok(1..)) {
            core::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
