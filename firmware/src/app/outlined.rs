//! Polls a large future in its own stack frame.

use core::pin::Pin;
use core::task::{Context, Poll};

/// A pinned future whose `poll` is never inlined.
///
/// The compiler inlines the `poll` of joined or nested futures into one function, whose stack frame is the sum of
/// theirs. Wrapped in this, each has a frame of its own, so that joined futures need no more stack than the largest of
/// them. Taking `Pin<&mut F>` also keeps a large future from being moved by way of the stack.
pub struct Outlined<'a, F>(Pin<&'a mut F>);

impl<'a, F: Future> Outlined<'a, F> {
    /// Wraps a future that was pinned with [`core::pin::pin!`].
    pub const fn new(future: Pin<&'a mut F>) -> Self {
        Self(future)
    }
}

impl<F: Future> Future for Outlined<'_, F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::ready;
    use core::pin::pin;
    use core::task::Waker;

    #[test]
    fn it_ends_when_the_future_ends_and_with_the_same() {
        let cx = &mut Context::from_waker(Waker::noop());
        assert_eq!(pin!(Outlined::new(pin!(ready(7)))).poll(cx), Poll::Ready(7));
        assert!(pin!(Outlined::new(pin!(core::future::pending::<()>()))).poll(cx).is_pending());
    }
}
