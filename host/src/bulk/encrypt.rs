//! Reads and encrypts the data records of a drop that is being sent.

use std::net::TcpStream;
use std::sync::Arc;

use deaddrop_core::session::{Batch, BatchSealer};
use deaddrop_core::wire::ErrorCode;
use event_listener::Event;
use zeroize::Zeroizing;

use super::pool::{Buffer, CpuBudget, WorkerPanicked, WorkerPool, is_worthwhile, records_in_batch};
use crate::files::source::Source;

/// Size of the send buffer between two processes of one machine; Linux doubles the number.
const SAME_MACHINE_BUFFER: usize = 512 * 1024;

/// Batches of records that worker threads read from the source and encrypt.
pub(crate) struct EncryptPipeline {
    pool: WorkerPool<(Batch, Buffer), Encrypted>,
    /// Most records in a batch.
    batch_records: u64,
    spare: Vec<Buffer>,
}

/// A batch that is ready to be sent.
pub(crate) struct Encrypted {
    pub(crate) buffer: Buffer,
    /// How much of `buffer` to send.
    pub(crate) len: usize,
    /// The source changed: the last of these records says so and ends the stream.
    pub(crate) changed: bool,
}

impl EncryptPipeline {
    /// Whether a stream of this many records is worth a pipeline.
    pub(crate) fn is_worthwhile(records: u64, record_len: usize) -> bool {
        is_worthwhile(records, record_len)
    }

    /// Starts the threads. `notify` is notified when a batch is ready that was asked for and was not ready then. `None` if
    /// the system starts no thread.
    pub(crate) fn start(
        source: Arc<Source>,
        sealer: BatchSealer,
        record_len: usize,
        stream: &TcpStream,
        notify: &Arc<Event>,
    ) -> Option<Self> {
        let budget = CpuBudget::of(stream);
        if budget == CpuBudget::Half {
            keep_in_cache(stream);
        }
        let work = move |(batch, buffer)| encrypt(&sealer, &source, batch, buffer);
        let pool = WorkerPool::start(notify, budget, work)?;
        Some(Self { pool, batch_records: records_in_batch(record_len), spare: Vec::new() })
    }

    /// Submits batches while the pool takes more. `take` takes the next batch of at most so many records off the session.
    pub(crate) fn feed(&mut self, mut take: impl FnMut(u64) -> Option<Batch>) {
        while self.pool.has_room() {
            let Some(batch) = take(self.batch_records) else { return };
            let records = usize::try_from(self.batch_records).unwrap_or(1);
            let len = batch.record_len().saturating_mul(records);
            let spare = self.spare.pop().filter(|buffer| buffer.len() >= len);
            self.pool.submit((batch, spare.unwrap_or_else(|| Zeroizing::new(vec![0; len]))));
        }
    }

    /// The next batch in order, if it is ready; if not, a notification follows.
    pub(crate) fn next(&mut self) -> Result<Option<Encrypted>, WorkerPanicked> {
        self.pool.next_or_notify()
    }

    /// Whether batches are in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.pool.is_busy()
    }

    /// Takes a buffer back for another batch.
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        self.spare.push(buffer);
    }
}

/// Limits the bytes in flight between two processes of one machine to what the processor's cache holds: there is no
/// round trip to fill, and memory that is reused soon is written a third faster. Between two machines the system sizes
/// its buffers itself, and better.
fn keep_in_cache(stream: &TcpStream) {
    // Where the system refuses, the stream is slower and no less correct.
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(SAME_MACHINE_BUFFER);
}

/// Fills a batch from the source and encrypts it, record by record, while the bytes are in the core's cache. The source
/// is checked after each read, so that no record holds bytes from after a change.
fn encrypt(sealer: &BatchSealer, source: &Source, mut batch: Batch, mut buffer: Buffer) -> Encrypted {
    let record_len = batch.record_len();
    let records = usize::try_from(batch.records()).unwrap_or(usize::MAX);
    let mut len = 0;
    for record in buffer.chunks_exact_mut(record_len).take(records) {
        let read = record.get_mut(..batch.record()).is_some_and(|payload| {
            source.read_at(batch.offset(), payload).is_ok() && source.unchanged().unwrap_or(false)
        });
        if !read {
            let told = sealer.seal_error(batch, ErrorCode::Changed, record).is_ok();
            return Encrypted { buffer, len: if told { len + record_len } else { len }, changed: true };
        }
        if sealer.seal(&mut batch, record).is_err() {
            break;
        }
        len += record_len;
    }
    Encrypted { buffer, len, changed: false }
}
