//! Decrypts and stores the data records of a drop that is being received.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use deaddrop_core::session::{Batch, BatchOpener, ClientSession, Content};
use deaddrop_core::wire::ErrorCode;
use event_listener::Event;

use super::pool::{CpuBudget, WorkerPanicked, WorkerPool, is_worthwhile, records_in_batch};
use crate::clock;
use crate::files::save::SaveError;
use crate::files::target::Writer;
use crate::transport::frame::{FrameBuf, Progress};

/// Batches of records that worker threads decrypt and store.
pub(crate) struct DecryptPipeline {
    pool: WorkerPool<(Batch, FrameBuf), Decrypted>,
    /// Bytes of one record on the wire.
    record_len: usize,
    /// Most records in a batch.
    batch_records: u64,
    filling: FrameBuf,
    spare: Vec<FrameBuf>,
}

/// A batch that a thread is done with.
struct Decrypted {
    frame: FrameBuf,
    /// Bytes of the drop that it stored.
    stored: u64,
    end: Option<StreamEnd>,
}

/// Why no batch comes after one.
pub(crate) enum StreamEnd {
    /// The server ended the stream with this error.
    Refused(ErrorCode),
    /// A record failed to decrypt: the server did not make it.
    Forged,
    /// The bytes could not be stored.
    Save(SaveError),
}

/// What reading from the socket came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Records came in: read again.
    More,
    /// The socket would block.
    Blocked,
    /// The pool takes no more now, or every record has been read.
    Full,
    /// The server has closed its end.
    Closed,
}

impl DecryptPipeline {
    /// Starts the threads, if the stream is worth them and the system has some. `notify` is notified when a batch is
    /// stored that was asked for and was not stored then.
    pub(crate) fn start(
        session: &ClientSession,
        writer: Writer,
        stream: &TcpStream,
        notify: &Arc<Event>,
    ) -> Option<Self> {
        let (records, record_len) = (session.data_records(), session.wants()?);
        if !is_worthwhile(records, record_len) {
            return None;
        }
        let opener = session.batch_opener()?;
        let worker = DecryptWorker { opener, writer };
        let work = move |(batch, frame)| worker.decrypt(batch, frame);
        let pool = WorkerPool::start(notify, CpuBudget::of(stream), 1, work)?;
        let batch_records = records_in_batch(record_len, usize::MAX);
        Some(Self { pool, record_len, batch_records, filling: FrameBuf::new(0), spare: Vec::new() })
    }

    /// Whether the next record can be read.
    fn has_room(&self, session: &ClientSession) -> bool {
        session.data_records() > 0 && self.pool.has_room()
    }

    /// Whether batches are in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.pool.is_busy()
    }

    /// Reads from the socket, and submits a batch once it is full, or once a record is whole and no thread is busy.
    pub(crate) fn read(&mut self, stream: &TcpStream, session: &mut ClientSession) -> io::Result<Intake> {
        if !self.has_room(session) {
            return Ok(Intake::Full);
        }
        // Never beyond the last record before the final one, which the session handles itself.
        let records = usize::try_from(self.batch_records.min(session.data_records())).unwrap_or(1);
        let progress = self.filling.read(stream, records.saturating_mul(self.record_len))?;
        let whole = self.filling.position / self.record_len;
        if whole == records || progress == Progress::Closed || !self.pool.is_busy() {
            self.submit(whole, session);
        }
        Ok(match progress {
            Progress::Whole => Intake::More,
            Progress::Partial => Intake::Blocked,
            Progress::Closed => Intake::Closed,
        })
    }

    fn submit(&mut self, whole: usize, session: &mut ClientSession) {
        let Ok(batch) = session.take_batch(clock::now(), whole as u64) else { return };
        let mut next = self.spare.pop().unwrap_or_else(|| FrameBuf::new(0));
        let used = whole.saturating_mul(self.record_len);
        next.carry_over(&self.filling, used);
        self.pool.submit((batch, std::mem::replace(&mut self.filling, next)));
    }

    /// Whether whole records have been read and not been submitted.
    pub(crate) fn has_whole(&self) -> bool {
        self.filling.position >= self.record_len
    }

    /// How many bytes the next batches in order have stored, and whether the stream ends with them. When only the pool
    /// can make progress, because nothing can be read or the server has closed, a notification follows.
    pub(crate) fn stored(
        &mut self,
        session: &ClientSession,
        closed: bool,
    ) -> Result<(u64, Option<StreamEnd>), WorkerPanicked> {
        let mut stored: u64 = 0;
        loop {
            let readable = self.has_room(session) && !closed;
            let next = if readable { self.pool.next() } else { self.pool.next_or_notify() };
            let Some(decrypted) = next? else { break };
            stored = stored.saturating_add(decrypted.stored);
            self.spare.push(decrypted.frame);
            if decrypted.end.is_some() {
                return Ok((stored, decrypted.end));
            }
        }
        Ok((stored, None))
    }
}

/// What the threads share.
struct DecryptWorker {
    opener: BatchOpener,
    writer: Writer,
}

impl DecryptWorker {
    /// Decrypts the records of a batch and stores their bytes, while those are in the core's cache if the turn to store
    /// is free.
    fn decrypt(&self, mut batch: Batch, mut frame: FrameBuf) -> Decrypted {
        let (record, record_len) = (batch.record(), batch.record_len());
        let records = usize::try_from(batch.records()).unwrap_or(usize::MAX);
        let base = batch.offset();
        let (mut opened, mut stored, mut end) = (0, 0, None);
        let offset = |record_number: usize| base.saturating_add((record_number * record) as u64);
        let mut unfinished = BreakOff(Some(&self.writer));
        while opened < records && end.is_none() {
            let Some(bytes) = nth_record(&mut frame.buffer, opened, record_len) else { break };
            match self.opener.open(&mut batch, bytes) {
                Ok(Content::Data { .. }) => opened += 1,
                Ok(Content::Refused(code)) => end = Some(StreamEnd::Refused(code)),
                Err(_) => end = Some(StreamEnd::Forged),
            }
            let last = opened == records || end.is_some();
            let Some(mut turn) = self.writer.turn(offset(stored), last) else { continue };
            while stored < opened {
                let Some(bytes) = nth_record(&mut frame.buffer, stored, record_len) else { break };
                if let Err(error) = turn.store(bytes.get(..record).unwrap_or_default(), offset(stored)) {
                    end = Some(StreamEnd::Save(error));
                    break;
                }
                stored += 1;
            }
        }
        if stored == records {
            unfinished.0 = None;
        }
        Decrypted { frame, stored: (stored * record) as u64, end }
    }
}

/// Has no thread wait for a batch that is not stored whole, whether that fails or panics.
struct BreakOff<'a>(Option<&'a Writer>);

impl Drop for BreakOff<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.0 {
            writer.break_off();
        }
    }
}

fn nth_record(buffer: &mut [u8], n: usize, record_len: usize) -> Option<&mut [u8]> {
    let start = n.checked_mul(record_len)?;
    buffer.get_mut(start..start.checked_add(record_len)?)
}
