//! Secret bytes: wiped (zeroized) when dropped, compared in constant time, redacted in debug output.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes. No `Clone`, no `Deref`, no `Display`; `Debug` is redacted.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over. The caller wipes its own copy, if it made one.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// A secret that `fill` writes in place, so that no copy is left on the stack.
    pub fn fill_with(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self([0; N]);
        fill(&mut secret.0);
        secret
    }

    /// The bytes. Named `expose` so that each use stands out in review.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(std::format!("{:?}", Secret::new(*b"marker")), "Secret(..)");
    }

    #[test]
    fn equality_is_by_value() {
        assert_eq!(Secret::new([1, 2]), Secret::new([1, 2]));
        assert_ne!(Secret::new([1, 2]), Secret::new([1, 3]));
    }

    #[test]
    fn zeroize_wipes() {
        let mut secret = Secret::new([7; 8]);
        secret.zeroize();
        assert_eq!(secret.expose(), &[0; 8]);
    }
}
