//! The processor of a host: one thing at a time, in the order in which they came.

use std::collections::VecDeque;

use crate::probes::ProbeId;

/// What a processor has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// Server: a connection waits to be accepted.
    Accept(ProbeId),
    /// Client: the greeting has come.
    Greeting(ProbeId),
    /// Server: message 2 has come.
    Message2(ProbeId),
    /// Server: a parked connection has its guess token.
    Granted(ProbeId),
    /// Client: message 3 has come.
    Message3(ProbeId),
    /// Server: message 4 has come.
    Message4(ProbeId),
    /// Client: the list has come.
    List(ProbeId),
}

/// What waits for one processor.
#[derive(Default)]
pub(crate) struct Cpu {
    waiting: VecDeque<Task>,
    running: bool,
}

impl Cpu {
    /// One more thing to do; true if the processor was idle, and has to be set going.
    pub(crate) fn push(&mut self, task: Task) -> bool {
        self.waiting.push_back(task);
        !core::mem::replace(&mut self.running, true)
    }

    /// The next thing to do; without one it is idle.
    pub(crate) fn next(&mut self) -> Option<Task> {
        let task = self.waiting.pop_front();
        self.running = task.is_some();
        task
    }
}
