//! The data records of a large drop, encrypted or decrypted by several threads (decision 0015).

pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod memory;
mod pool;

pub(crate) use pool::WorkerPanicked;
