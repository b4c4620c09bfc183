//! A W5500 and a W6100 as seen from the SPI bus, with cable and faults that a test controls.
//!
//! Written from the data sheets apart from the driver, so that an address that is wrong there is not wrong
//! here too. Only socket 0 in raw mode exists. Time is embassy's.

mod buffer;
mod memory;
mod pins;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

pub use memory::Kind;
use memory::Memory;
pub use pins::{Bus, BusError, Line, ResetPin};

/// What is wrong with the chip or its wires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Every byte reads as this, and none is written.
    Absent(u8),
    /// Every byte that is read is random, from this seed on.
    Noise(u64),
    /// The bus reports an error.
    Bus,
    /// The chip stops sending: no frame ends.
    Transmitter,
    /// The chip accepts no command.
    Commands,
    /// The chip raises no interrupt at the end of a frame.
    SendInterrupt,
    /// The chip takes no hardware address.
    Address,
}

/// What is wrong with the interrupt line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFault {
    /// Nothing.
    #[default]
    None,
    /// It is never low.
    Open,
    /// It is always low.
    Shorted,
}

struct Inner {
    memory: Memory,
    fault: Fault,
    line_fault: LineFault,
    /// The task that waits for the interrupt line.
    line: Option<Waker>,
    /// The task that waits until a frame is sent.
    sent: Option<Waker>,
    transactions: u64,
}

/// The chip. Clones are the same one.
#[derive(Clone)]
pub struct Model(Rc<RefCell<Inner>>);

impl Model {
    /// A chip of this kind with its cable in.
    pub fn new(kind: Kind) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            memory: Memory::new(kind),
            fault: Fault::None,
            line_fault: LineFault::None,
            line: None,
            sent: None,
            transactions: 0,
        })))
    }

    /// The chip on its SPI bus.
    pub fn bus(&self) -> Bus {
        Bus(self.clone())
    }

    /// The line INTn.
    pub fn line(&self) -> Line {
        Line(self.clone())
    }

    /// The line RSTn.
    pub fn reset_pin(&self) -> ResetPin {
        ResetPin(self.clone())
    }

    /// A frame comes on the cable. False if the chip did not keep it: no link, too short, filtered out, or
    /// no space.
    pub fn arrive(&self, frame: &[u8]) -> bool {
        let header = u16::try_from(frame.len() + 2).unwrap_or(u16::MAX);
        self.arrive_as(frame, header)
    }

    /// The same with another length before it than the frame's.
    pub fn arrive_as(&self, frame: &[u8], header: u16) -> bool {
        let mut inner = self.0.borrow_mut();
        let kept = inner.memory.arrive(frame, header);
        inner.signal();
        kept
    }

    /// The oldest frame that was sent and not yet taken here.
    pub fn sent(&self) -> Option<Vec<u8>> {
        self.0.borrow_mut().memory.sent.pop_front()
    }

    /// All of them.
    pub fn all_sent(&self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.0.borrow_mut().memory.sent)
    }

    /// Wakes this the next time that a frame is sent.
    pub fn on_sent(&self, waker: &Waker) {
        self.0.borrow_mut().sent = Some(waker.clone());
    }

    /// Pulls the cable out, or plugs it in. What the chip was to send meanwhile goes out then.
    pub fn plug(&self, plugged: bool) {
        let mut inner = self.0.borrow_mut();
        inner.memory.plug(plugged);
        inner.signal();
    }

    /// From now on this is wrong.
    pub fn break_chip(&self, fault: Fault) {
        let mut inner = self.0.borrow_mut();
        inner.fault = fault;
        inner.memory.transmitter_stuck = fault == Fault::Transmitter;
        inner.memory.commands_stuck = fault == Fault::Commands;
        inner.memory.ends_quietly = fault == Fault::SendInterrupt;
        inner.memory.address_stuck = fault == Fault::Address;
    }

    /// From now on this is wrong with the interrupt line.
    pub fn break_line(&self, fault: LineFault) {
        let mut inner = self.0.borrow_mut();
        inner.line_fault = fault;
        inner.signal();
    }

    /// From now on a size grows past 256 between the reads of its two bytes, every other time that it is
    /// read.
    pub fn tear_sizes(&self, torn: bool) {
        self.0.borrow_mut().memory.torn = torn.then_some(true);
    }

    /// The chip loses what was written to it, as by a dip of its supply.
    pub fn forget(&self) {
        self.0.borrow_mut().memory.reset();
    }

    /// Transactions on the bus so far.
    pub fn transactions(&self) -> u64 {
        self.0.borrow().transactions
    }

    /// Frames for this chip that did not fit into its receive buffer.
    pub fn overruns(&self) -> u64 {
        self.0.borrow().memory.overruns
    }

    /// How often it was reset by its reset line.
    pub fn resets(&self) -> u64 {
        self.0.borrow().memory.resets
    }
}

impl Inner {
    fn line_is_low(&self) -> bool {
        match self.line_fault {
            LineFault::None => self.memory.interrupts(),
            LineFault::Open => false,
            LineFault::Shorted => true,
        }
    }

    /// Wakes who waits for what is now so.
    fn signal(&mut self) {
        if self.line_is_low()
            && let Some(waker) = self.line.take()
        {
            waker.wake();
        }
        if !self.memory.sent.is_empty()
            && let Some(waker) = self.sent.take()
        {
            waker.wake();
        }
    }
}
