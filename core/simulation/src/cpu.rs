//! The processor of a host: a FIFO queue of jobs.

use std::collections::VecDeque;

use crate::probes::ProbeId;

/// A job of a processor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// Server: a connection waits to be accepted.
    Accept(ProbeId),
    /// Client: the greeting has arrived.
    Greeting(ProbeId),
    /// Server: message 2 has arrived.
    Message2(ProbeId),
    /// Server: a parked connection has its guess token.
    Granted(ProbeId),
    /// Client: message 3 has arrived.
    Message3(ProbeId),
    /// Server: message 4 has arrived.
    Message4(ProbeId),
    /// Client: the list has arrived.
    List(ProbeId),
}

/// The queue of one processor.
#[derive(Default)]
pub(crate) struct Cpu {
    waiting: VecDeque<Task>,
    running: bool,
}

impl Cpu {
    /// Adds a job; true if the processor was idle and has to be started.
    pub(crate) fn push(&mut self, task: Task) -> bool {
        self.waiting.push_back(task);
        !core::mem::replace(&mut self.running, true)
    }

    /// The next job; without one the processor is idle.
    pub(crate) fn next(&mut self) -> Option<Task> {
        let task = self.waiting.pop_front();
        self.running = task.is_some();
        task
    }
}
