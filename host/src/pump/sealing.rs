//! The data records of a drop on their way out, read and sealed by a [`Crew`].

use std::net::TcpStream;
use std::sync::Arc;

use deaddrop_core::exchange::ServerSession;
use deaddrop_core::session::{Batch, BatchSealer};
use deaddrop_core::token::Token;
use deaddrop_core::wire::ErrorCode;
use event_listener::Event;
use zeroize::Zeroizing;

use super::crew::{Broken, Buffer, Crew, Share, is_worthwhile, records_in_batch};
use crate::clock;
use crate::files::source::Source;
use crate::serve::Server;

/// Bytes under way within one machine; Linux takes twice the number.
const NEAR_BUFFER: usize = 512 * 1024;

/// Records on their way out.
pub(super) struct Sealing {
    crew: Crew<(Batch, Buffer), Sealed>,
    /// The drop they are of.
    pub(super) token: Token,
    /// Records in a batch.
    most: u64,
    spare: Vec<Buffer>,
}

/// Records that are ready to be sent.
pub(super) struct Sealed {
    pub(super) buffer: Buffer,
    /// How much of `buffer` to send.
    pub(super) len: usize,
    /// The last of these records says that the source has changed, and is the end of the stream.
    pub(super) changed: bool,
}

impl Sealing {
    /// Starts a crew if so much is to be sent that it is worth one. `bell` rings when there is something to send.
    pub(super) fn start(
        server: &Server,
        session: &ServerSession,
        stream: &TcpStream,
        bell: &Arc<Event>,
    ) -> Option<Self> {
        let record_len = session.record_len();
        if !is_worthwhile(session.data_records(), record_len) {
            return None;
        }
        let token = session.poll_read()?.token;
        let source = server.source(&token)?;
        let sealer = session.batch_sealer()?;
        let share = Share::over(stream);
        if share == Share::Half {
            keep_in_cache(stream);
        }
        let crew = Crew::start(bell, share, move |(batch, buffer)| seal(&sealer, &source, batch, buffer))?;
        Some(Self { crew, token, most: records_in_batch(record_len), spare: Vec::new() })
    }

    /// Hands the crew what there is for it to do.
    pub(super) fn feed(&mut self, server: &Server, session: &mut ServerSession) {
        while self.crew.has_room() {
            let taken = server.with(|serving| session.take_batch(clock::now(), serving, self.most));
            let Some((batch, _)) = taken else { return };
            let len = batch.record_len().saturating_mul(usize::try_from(self.most).unwrap_or(1));
            let spare = self.spare.pop().filter(|buffer| buffer.len() >= len);
            self.crew.hand_out((batch, spare.unwrap_or_else(|| Zeroizing::new(vec![0; len]))));
        }
    }

    /// The next records in order, if they are ready; if not, the bell will ring.
    pub(super) fn next(&mut self) -> Result<Option<Sealed>, Broken> {
        self.crew.next_or_ring()
    }

    /// Whether records are still to come out of it.
    pub(super) fn is_busy(&self) -> bool {
        self.crew.is_busy()
    }

    /// Takes a buffer back.
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        self.spare.push(buffer);
    }
}

/// Between two processes of one machine, has no more under way than the processor's cache holds: there is no
/// distance to be filled, and memory that comes round again soon is written a third faster. Between two
/// machines the system sizes its buffers by itself, and better.
fn keep_in_cache(stream: &TcpStream) {
    // Where it is refused, it is only slower.
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(NEAR_BUFFER);
}

/// Fills a batch from the source and seals it, record by record, for what was just read is at hand in the core's
/// cache. The source is looked at after each is read, so that no record holds bytes from after a change.
fn seal(sealer: &BatchSealer, source: &Source, mut batch: Batch, mut buffer: Buffer) -> Sealed {
    let record_len = batch.record_len();
    let records = usize::try_from(batch.records()).unwrap_or(usize::MAX);
    let mut len = 0;
    for record in buffer.chunks_exact_mut(record_len).take(records) {
        let read = record.get_mut(..batch.record()).is_some_and(|payload| {
            source.read_at(batch.offset(), payload).is_ok() && source.unchanged().unwrap_or(false)
        });
        if !read {
            let told = sealer.seal_error(batch, ErrorCode::Changed, record).is_ok();
            return Sealed { buffer, len: if told { len + record_len } else { len }, changed: true };
        }
        if sealer.seal(&mut batch, record).is_err() {
            break;
        }
        len += record_len;
    }
    Sealed { buffer, len, changed: false }
}
