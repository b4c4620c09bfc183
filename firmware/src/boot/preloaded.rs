//! Output of an asynchronous generator, read before the synchronous [`boot`](super::boot).

use deaddrop_core::secret::Secret;

use super::entropy::{HardwareEntropy, NoEntropy};

/// 32 bytes of a generator, or its failure. Good for one fill: a second one fails.
pub struct Preloaded(Option<Secret<32>>);

impl Preloaded {
    /// Reads the generator with `fill`, which returns `None` if it fails or takes too long.
    pub async fn by(fill: impl AsyncFnOnce(&mut [u8; 32]) -> Option<()>) -> Self {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        let filled = fill(&mut bytes).await;
        Self(filled.map(|()| Secret::fill_with(|to| *to = *bytes)))
    }
}

impl HardwareEntropy for Preloaded {
    fn fill(&mut self, to: &mut [u8; 32]) -> Result<(), NoEntropy> {
        *to = *self.0.take().ok_or(NoEntropy)?.expose();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use super::*;

    fn drawn(gives: Option<u8>) -> Preloaded {
        let draw = pin!(Preloaded::by(async |to: &mut [u8; 32]| {
            *to = [gives?; 32];
            Some(())
        }));
        match draw.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(drawn) => drawn,
            Poll::Pending => panic!("it waits for nothing"),
        }
    }

    #[test]
    fn what_was_drawn_is_given_once() {
        let mut generator = drawn(Some(7));
        let mut bytes = [0; 32];
        assert_eq!(generator.fill(&mut bytes), Ok(()));
        assert_eq!(bytes, [7; 32]);
        assert_eq!(generator.fill(&mut bytes), Err(NoEntropy));
    }

    #[test]
    fn a_generator_that_failed_gives_nothing() {
        assert_eq!(drawn(None).fill(&mut [0; 32]), Err(NoEntropy));
    }
}
