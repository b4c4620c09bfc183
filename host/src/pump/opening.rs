//! The data records of a drop on their way in, opened and stored by a [`Crew`].

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use deaddrop_core::session::{Batch, BatchOpener, ClientSession, Content};
use deaddrop_core::wire::ErrorCode;
use event_listener::Event;

use super::crew::{Broken, Crew, Share, is_worthwhile, records_in_batch};
use super::{Carried, Carrier};
use crate::clock;
use crate::exit::Failure;
use crate::files::receive::Shelf;
use crate::lock::lock;

/// Records on their way in.
pub(super) struct Opening {
    crew: Crew<(Batch, Carrier), Opened>,
    /// Bytes of one record on the wire.
    record_len: usize,
    /// Records in a batch.
    most: u64,
    filling: Carrier,
    spare: Vec<Carrier>,
}

/// A batch that has been dealt with.
struct Opened {
    carrier: Carrier,
    /// Bytes of the drop that it brought.
    stored: u64,
    end: Option<End>,
}

/// Why nothing comes after a batch.
pub(super) enum End {
    /// The server said so.
    Refused(ErrorCode),
    /// A record is none that the server can have sealed.
    Forged,
    /// What came cannot be stored.
    Unstored(Failure),
}

/// What came of a look at the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// Records came in: look again.
    Read,
    /// There is nothing to read now.
    Nothing,
    /// The crew has its hands full, or all has been read: there is nothing to read for.
    Enough,
    /// The server has closed its end.
    Closed,
}

impl Opening {
    /// Starts a crew if so much is to come that it is worth one. `bell` rings when some of it is stored.
    pub(super) fn start(
        session: &ClientSession,
        shelf: Shelf,
        stream: &TcpStream,
        bell: &Arc<Event>,
    ) -> Option<Self> {
        let (records, record_len) = (session.data_records(), session.wants()?);
        if !is_worthwhile(records, record_len) {
            return None;
        }
        let opener = session.batch_opener()?;
        let bench = Bench { opener, shelf, storing: Mutex::new(()) };
        let crew =
            Crew::start(bell, Share::over(stream), move |(batch, carrier)| bench.open(batch, carrier))?;
        let most = records_in_batch(record_len);
        Some(Self { crew, record_len, most, filling: Carrier::new(0), spare: Vec::new() })
    }

    /// Whether there is something to read for.
    pub(super) fn has_room(&self, session: &ClientSession) -> bool {
        session.data_records() > 0 && self.crew.has_room()
    }

    /// Whether batches are still with the crew.
    pub(super) fn is_busy(&self) -> bool {
        self.crew.is_busy()
    }

    /// Reads what has come, and hands it out once it makes a batch, or a record that nobody need wait with.
    pub(super) fn look(&mut self, stream: &TcpStream, session: &mut ClientSession) -> io::Result<Looked> {
        if !self.has_room(session) {
            return Ok(Looked::Enough);
        }
        // Never beyond the last record before the final one: what follows that is not for the crew.
        let records = usize::try_from(self.most.min(session.data_records())).unwrap_or(1);
        let carried = self.filling.read(stream, records.saturating_mul(self.record_len))?;
        let whole = self.filling.at / self.record_len;
        if whole == records || carried == Carried::Closed || !self.crew.is_busy() {
            self.hand_out(whole, session);
        }
        Ok(match carried {
            Carried::Whole => Looked::Read,
            Carried::Partly => Looked::Nothing,
            Carried::Closed => Looked::Closed,
        })
    }

    fn hand_out(&mut self, whole: usize, session: &mut ClientSession) {
        let Ok(batch) = session.take_batch(clock::now(), whole as u64) else { return };
        let mut next = self.spare.pop().unwrap_or_else(|| Carrier::new(0));
        let used = whole.saturating_mul(self.record_len);
        next.carry_over(&self.filling, used);
        self.crew.hand_out((batch, std::mem::replace(&mut self.filling, next)));
    }

    /// Whether there are records that have come and have not been handed out.
    pub(super) fn has_whole(&self) -> bool {
        self.filling.at >= self.record_len
    }

    /// What the next batches in order brought, and whether that is the end. Where nothing else is to be waited
    /// for, because there is nothing to read for or the server has closed, the bell rings for the next one.
    pub(super) fn stored(
        &mut self,
        session: &ClientSession,
        closed: bool,
    ) -> Result<(u64, Option<End>), Broken> {
        let mut stored: u64 = 0;
        loop {
            let next =
                if self.has_room(session) && !closed { self.crew.next() } else { self.crew.next_or_ring() };
            let Some(opened) = next? else { break };
            stored = stored.saturating_add(opened.stored);
            self.spare.push(opened.carrier);
            if opened.end.is_some() {
                return Ok((stored, opened.end));
            }
        }
        Ok((stored, None))
    }
}

/// What a thread of the crew works with.
struct Bench {
    opener: BatchOpener,
    shelf: Shelf,
    /// Held by whoever stores. The system lets one thread at a time write to a file and has the others spin for
    /// it; here they open another record meanwhile.
    storing: Mutex<()>,
}

impl Bench {
    /// Opens the records of a batch and stores what they hold, if it can be while that is still in the core's
    /// cache.
    fn open(&self, mut batch: Batch, mut carrier: Carrier) -> Opened {
        let (record, record_len) = (batch.record(), batch.record_len());
        let records = usize::try_from(batch.records()).unwrap_or(usize::MAX);
        let base = batch.offset();
        let (mut opened, mut stored, mut end) = (0, 0, None);
        while opened < records && end.is_none() {
            let Some(bytes) = record_at(&mut carrier.buffer, opened, record_len) else { break };
            match self.opener.open(&mut batch, bytes) {
                Ok(Content::Data { .. }) => opened += 1,
                Ok(Content::Refused(code)) => end = Some(End::Refused(code)),
                Err(_) => end = Some(End::Forged),
            }
            let last = opened == records || end.is_some();
            let turn = if last { Some(lock(&self.storing)) } else { self.storing.try_lock().ok() };
            if turn.is_none() {
                continue;
            }
            while stored < opened {
                let Some(bytes) = record_at(&mut carrier.buffer, stored, record_len) else { break };
                let offset = base.saturating_add((stored * record) as u64);
                if let Err(failure) = self.shelf.store(bytes.get(..record).unwrap_or_default(), offset) {
                    end = Some(End::Unstored(failure));
                    break;
                }
                stored += 1;
            }
        }
        Opened { carrier, stored: (stored * record) as u64, end }
    }
}

fn record_at(buffer: &mut [u8], place: usize, record_len: usize) -> Option<&mut [u8]> {
    let start = place.checked_mul(record_len)?;
    buffer.get_mut(start..start.checked_add(record_len)?)
}
