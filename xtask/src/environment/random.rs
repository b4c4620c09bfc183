//! Random bytes from the kernel.

use std::fs::File;
use std::io::Read;

use crate::environment::repo::Failure;

/// Fills `bytes` with random bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    let filled = File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes));
    filled.map_err(Failure::at("/dev/urandom"))
}

/// `N` random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}
