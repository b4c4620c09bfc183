//! Parts of a future that are polled in calls of their own.

use core::pin::Pin;
use core::task::{Context, Poll};

/// A future that stays where it is and whose polling is not made one with that of others.
///
/// Left to itself, the compiler makes one function of a future and all within it, whose room on the stack is the sum of
/// what each of them needs; and a future that is handed over is copied by way of the stack. So whoever joins large
/// futures on a small board first pins each in its place, and joins these.
pub struct Apart<'a, F>(Pin<&'a mut F>);

impl<'a, F: Future> Apart<'a, F> {
    /// Of a future that was pinned with [`core::pin::pin!`].
    pub const fn new(future: Pin<&'a mut F>) -> Self {
        Self(future)
    }
}

impl<F: Future> Future for Apart<'_, F> {
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
        assert_eq!(pin!(Apart::new(pin!(ready(7)))).poll(cx), Poll::Ready(7));
        assert!(pin!(Apart::new(pin!(core::future::pending::<()>()))).poll(cx).is_pending());
    }
}
