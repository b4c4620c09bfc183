//! Bytes from the system's generator.

use std::fs::File;
use std::io::Read;

use crate::environment::repo::Failure;

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    let filled = File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes));
    filled.map_err(Failure::at("/dev/urandom"))
}

/// That many bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}
