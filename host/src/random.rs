//! The operating system's random numbers, in the shape the core asks for.

use getrandom::SysRng;
use rand_core::UnwrapErr;

/// The operating system's generator. It panics when the system has no random numbers to give:
/// nothing that deaddrop does would be safe without them.
pub(crate) fn system() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

#[cfg(test)]
mod tests {
    use deaddrop_core::token::Token;

    #[test]
    fn tokens_differ() {
        let mut rng = super::system();
        assert_ne!(Token::random(&mut rng), Token::random(&mut rng));
    }
}
