//! Lets the other tasks of the executor run, between two long computations.

use embassy_futures::yield_now;

/// Returns once every task that is ready now has been polled: the driver of the network, and what a product runs beside
/// the app. The tasks of the app itself are polled too.
///
/// One yield is not enough. Embassy's executor polls what is ready in batches, in each batch the task first that was woken
/// last, and that is the task which yields. So it yields again, at the head of the batch of those that it made wait.
pub(super) async fn let_others_run() {
    yield_now().await;
    yield_now().await;
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::cell::RefCell;
    use core::future::poll_fn;
    use core::pin::Pin;
    use core::task::{Context, Poll, Waker};
    use std::boxed::Box;
    use std::rc::Rc;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;
    use std::vec::Vec;

    use super::*;

    /// Tasks that are ready, in the order in which they were woken.
    #[derive(Default)]
    struct Ready(Mutex<Vec<usize>>);

    struct TaskWaker(usize, Arc<Ready>);

    impl Wake for TaskWaker {
        fn wake(self: Arc<Self>) {
            self.1.0.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn every_task_that_was_ready_runs_before_it_returns() {
        let ready = Arc::new(Ready::default());
        let wakers: Vec<Waker> = (0..3).map(|task| Arc::new(TaskWaker(task, ready.clone())).into()).collect();
        let order = Rc::new(RefCell::new(Vec::new()));
        let (by_computation, others) = (order.clone(), [wakers[1].clone(), wakers[2].clone()]);
        let computation = async move {
            // Interrupts during the first half wake the others.
            others.iter().for_each(Waker::wake_by_ref);
            by_computation.borrow_mut().push("first half");
            let_others_run().await;
            by_computation.borrow_mut().push("second half");
        };
        let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> = std::vec![Box::pin(computation)];
        for name in ["network", "product"] {
            let by_other = order.clone();
            tasks.push(Box::pin(poll_fn(move |_| {
                by_other.borrow_mut().push(name);
                Poll::Pending
            })));
        }
        wakers[0].wake_by_ref();
        // As embassy's executor does it: a batch at a time, the last that was woken first.
        loop {
            let batch = core::mem::take(&mut *ready.0.lock().unwrap());
            if batch.is_empty() {
                break;
            }
            for task in batch.into_iter().rev() {
                let _ = tasks[task].as_mut().poll(&mut Context::from_waker(&wakers[task]));
            }
        }
        assert_eq!(*order.borrow(), ["first half", "product", "network", "second half"]);
    }
}
