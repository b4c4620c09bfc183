//! Reads and encrypts the data records of a drop that is being sent.

use std::net::TcpStream;
use std::sync::Arc;

use deaddrop_core::session::{Batch, BatchSealer};
use deaddrop_core::wire::ErrorCode;
use event_listener::Event;
use zeroize::Zeroizing;

use super::memory::{BatchMemory, Share};
use super::pool::{Buffer, CpuBudget, WorkerPanicked, WorkerPool, is_worthwhile, records_in_batch};
use crate::files::source::Source;
use crate::transport::frame::FrameBuf;

/// Size of the send buffer between two processes of one machine; Linux doubles the number.
const SAME_MACHINE_BUFFER: usize = 512 * 1024;

/// Batches of records that worker threads read from the source and encrypt.
pub(crate) struct EncryptPipeline {
    pool: WorkerPool<(Batch, Buffer), Encrypted>,
    record_len: usize,
    /// Whose bytes are those of all buffers in flight, of the spare ones, and of the one that is being sent.
    share: Share,
    spare: Vec<Buffer>,
    /// The buffer of the connection is one of ours.
    lent: bool,
}

/// A batch that is ready to be sent.
struct Encrypted {
    buffer: Buffer,
    /// How much of `buffer` to send.
    len: usize,
    /// The source changed: the last of these records says so and ends the stream.
    changed: bool,
}

/// A batch that is in the buffer of the connection.
pub(crate) struct Ready {
    /// The source changed: the last of its records says so and ends the stream.
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
        memory: &Arc<BatchMemory>,
        stream: &TcpStream,
        notify: &Arc<Event>,
    ) -> Option<Self> {
        let budget = CpuBudget::of(stream);
        if budget == CpuBudget::Half {
            keep_in_cache(stream);
        }
        let work = move |(batch, buffer)| encrypt(&sealer, &source, batch, buffer);
        let share = Share::join(memory);
        let pool = WorkerPool::start(notify, budget, share.streams(), work)?;
        Some(Self { pool, record_len, share, spare: Vec::new(), lent: false })
    }

    /// Most records in a batch now: so few that all places of the pool, and the buffer that is being sent, fit in the share.
    fn batch_records(&self) -> u64 {
        records_in_batch(self.record_len, self.share.fair() / (self.pool.places() + 1))
    }

    /// A buffer for a batch of this many records, if there is memory for it.
    fn buffer(&mut self, records: u64) -> Option<Buffer> {
        let len = self.record_len.saturating_mul(usize::try_from(records).unwrap_or(1));
        while let Some(spare) = self.spare.pop() {
            if spare.len() == len {
                return Some(spare);
            }
            self.share.give_back(spare.len());
        }
        self.share.take(len, self.record_len).then(|| Zeroizing::new(vec![0; len]))
    }

    /// Submits batches while the pool takes more and there is memory for them. `take` takes the next batch of at most so many
    /// records off the session. Everything in `outbound` has been sent: its memory is used again if it is that of a batch.
    pub(crate) fn feed(&mut self, outbound: &mut FrameBuf, mut take: impl FnMut(u64) -> Option<Batch>) {
        if std::mem::take(&mut self.lent) {
            self.spare.push(std::mem::take(&mut outbound.buffer));
        }
        while self.pool.has_room() {
            let most = self.batch_records();
            // One record, where there is no memory for more and nothing else of this stream is in flight.
            let Some((records, buffer)) = [most, 1].into_iter().find_map(|n| Some((n, self.buffer(n)?)))
            else {
                return;
            };
            let Some(batch) = take(records) else {
                self.spare.push(buffer);
                return;
            };
            self.pool.submit((batch, buffer));
        }
    }

    /// Puts the next batch in order into `outbound`, of which everything is sent, if it is ready; if not, a notification
    /// follows.
    pub(crate) fn next(&mut self, outbound: &mut FrameBuf) -> Result<Option<Ready>, WorkerPanicked> {
        let Some(Encrypted { buffer, len, changed }) = self.pool.next_or_notify()? else { return Ok(None) };
        (outbound.buffer, outbound.end, self.lent) = (buffer, len, true);
        Ok(Some(Ready { changed }))
    }

    /// Whether batches are in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.pool.is_busy()
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
