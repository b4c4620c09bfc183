//! Why a board must not talk.

use core::fmt;

use deaddrop_provisioning::ProvisioningError;

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
    /// The hardware generator failed, and there is no seed, or none that each start replaces.
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
                write!(
                    f,
                    "the seed cannot be read from flash: provision again ({PROVISION}), and if that does not help, use another board"
                )
            }
            Self::NoSeed => write!(
                f,
                "there is no seed in flash, and without one what this board sends could be guessed: provision it ({PROVISION})"
            ),
            Self::NoEntropy => f.write_str(
                "the hardware generator failed, and without it what this board sends could be guessed: switch off and on, and if that does not help, use another board"
            ),
            Self::SeedNotReplaced | Self::SeedDidNotStick => {
                f.write_str(if *self == Self::SeedNotReplaced {
                    "the seed cannot be replaced in flash"
                } else {
                    "the new seed was written and is not in flash"
                })?;
                f.write_str(", and to use one twice would give secrets away: switch off and on, and if that does not help, use another board")
            }
        }?;
        f.write_str("; until then it does not talk on the network")
    }
}

impl core::error::Error for BootError {}

#[cfg(test)]
mod tests;
