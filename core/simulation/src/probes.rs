//! Connections that listeners have opened to probe senders.

use deaddrop_core::discovery::Probe;

use crate::queue::Micros;

/// One connection. The generation distinguishes it from earlier ones in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeId {
    pub(crate) place: u32,
    number: u32,
}

/// The state of a connection at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not accepted yet.
    Waiting,
    /// Greeted; message 2 is on its way.
    Greeted,
    /// Message 2 has come and waits for the processor.
    Asked,
    /// Waits for a guess token.
    Parked,
    /// Yb was sent.
    Owed,
    /// Ended by the server.
    Over,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbeState {
    number: u32,
    place: u32,
    pub(crate) listener: usize,
    pub(crate) sender: usize,
    pub(crate) probe: Probe,
    pub(crate) stage: Stage,
    /// Ended at the client.
    pub(crate) reported: bool,
    /// The connection is established in the server's kernel.
    pub(crate) connected: bool,
    /// The greeting has arrived.
    pub(crate) greeted: bool,
    /// Number of SYNs sent.
    pub(crate) tries: u8,
    /// The greeting is busy.
    pub(crate) busy: bool,
    /// When it was parked.
    pub(crate) since: Micros,
}

/// All open connections.
#[derive(Default)]
pub(crate) struct Probes {
    places: Vec<ProbeState>,
    free: Vec<u32>,
    numbers: u32,
}

impl Probes {
    /// A listener connects.
    pub(crate) fn open(&mut self, listener: usize, sender: usize, probe: Probe) -> ProbeId {
        self.numbers = self.numbers.checked_add(1).unwrap();
        let mut probing = ProbeState {
            number: self.numbers,
            place: 0,
            listener,
            sender,
            probe,
            stage: Stage::Waiting,
            reported: false,
            connected: false,
            greeted: false,
            tries: 0,
            busy: false,
            since: 0,
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(probing);
            u32::try_from(self.places.len() - 1).unwrap()
        });
        probing.place = place;
        self.places[place as usize] = probing;
        ProbeId { place, number: self.numbers }
    }

    /// That connection, if it is still open.
    pub(crate) fn get(&mut self, id: ProbeId) -> Option<&mut ProbeState> {
        self.places.get_mut(id.place as usize).filter(|l| l.number == id.number)
    }

    /// The connection in this slot, whose number a server's guard uses.
    pub(crate) fn at(&self, place: u32) -> ProbeId {
        ProbeId { place, number: self.places[place as usize].number }
    }

    /// Connections that a sender has not ended.
    pub(crate) fn of_sender(&self, sender: usize) -> Vec<ProbeId> {
        let mine = |l: &&ProbeState| l.number != 0 && l.sender == sender && l.stage != Stage::Over;
        let places = self.places.iter().filter(mine);
        places.map(|l| ProbeId { place: l.place, number: l.number }).collect()
    }

    /// Frees the slot of a connection that both sides have ended.
    pub(crate) fn sweep(&mut self, id: ProbeId) {
        if let Some(probing) = self.get(id)
            && probing.reported
            && probing.stage == Stage::Over
        {
            probing.number = 0;
            self.free.push(id.place);
        }
    }
}
