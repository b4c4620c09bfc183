//! Rings of descriptors, through which MAC and stack hand frames to each other.
//!
//! The DMA reads descriptors from where it is up to the tail pointer, and not the one that it points at
//! (RM0433 and RM0481, "DMA descriptors"). A descriptor beyond the tail is ours to write. Without that
//! limit the DMA runs on to a descriptor that is being written, takes its old address with its new owner,
//! and writes a frame to anywhere.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a buffer: the longest frame with VLAN tag and check sequence, in whole words.
pub const BUFFER: usize = 1_536;
/// Bytes of a frame from the stack, at most: 14 of header, 1,500 of payload.
pub const MTU: usize = 1_514;

/// The DMA owns the descriptor.
const OWN: u32 = 1 << 31;
/// Received: it describes no frame.
const CONTEXT: u32 = 1 << 30;
/// To receive: interrupt on completion.
const RECEIVE_INTERRUPT: u32 = 1 << 30;
const FIRST: u32 = 1 << 29;
const LAST: u32 = 1 << 28;
/// To receive: the first buffer's address is valid.
const BUFFER_VALID: u32 = 1 << 24;
/// Received: any of the errors.
const ERROR: u32 = 1 << 15;
/// Received: bytes of the frame.
const LENGTH: u32 = 0x7FFF;
/// To send, in the third word: interrupt on completion.
const SEND_INTERRUPT: u32 = 1 << 31;

/// What the DMA reads of a frame, and writes back. Atomic, because two read and write it.
#[repr(C, align(16))]
pub struct Descriptor([AtomicU32; 4]);

/// A frame's bytes in words, as the bus has them.
#[repr(C, align(16))]
pub struct Buffer([AtomicU32; BUFFER / 4]);

/// A descriptor's or buffer's address, as the DMA has it.
pub fn address<T>(of: &T) -> u32 {
    let address = ptr::from_ref(of).expose_provenance() as u64;
    // The DMA's addresses have 32 bits, as this chip's have; tests on a host use the lower half of theirs.
    u32::try_from(address & 0xFFFF_FFFF).unwrap_or_default()
}

impl Descriptor {
    const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 4])
    }

    /// Reads a word.
    pub fn get(&self, word: usize) -> u32 {
        self.0.get(word).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Writes a word.
    pub fn set(&self, word: usize, value: u32) {
        if let Some(word) = self.0.get(word) {
            word.store(value, Ordering::Release);
        }
    }

    fn is_ours(&self) -> bool {
        self.get(3) & OWN == 0
    }

    /// Writes all of it, the owner last.
    fn give(&self, buffer: &Buffer, length: u32, control: u32) {
        self.set(0, address(buffer));
        self.set(1, 0);
        self.set(2, length);
        self.set(3, control | OWN);
    }
}

impl Buffer {
    const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; BUFFER / 4])
    }

    /// Copies from it.
    pub fn read(&self, bytes: &mut [u8]) {
        for (to, word) in bytes.chunks_mut(4).zip(&self.0) {
            let word = word.load(Ordering::Relaxed).to_le_bytes();
            to.iter_mut().zip(word).for_each(|(to, byte)| *to = byte);
        }
    }

    /// Copies into it.
    pub fn write(&self, bytes: &[u8]) {
        for (from, word) in bytes.chunks(4).zip(&self.0) {
            let mut filled = [0; 4];
            filled.iter_mut().zip(from).for_each(|(to, byte)| *to = *byte);
            word.store(u32::from_le_bytes(filled), Ordering::Relaxed);
        }
    }
}

/// The memory of both rings, and a frame for the stack each way. Zero, so that a static of it takes no flash.
pub struct Memory<const RX: usize, const TX: usize> {
    receive: ([Descriptor; RX], [Buffer; RX]),
    transmit: ([Descriptor; TX], [Buffer; TX]),
    received: [u8; BUFFER],
    to_send: [u8; MTU],
}

impl<const RX: usize, const TX: usize> Memory<RX, TX> {
    /// Empty rings. At least two descriptors each way: one of them is always ours.
    pub const fn new() -> Self {
        const { assert!(RX >= 2 && TX >= 2) };
        Self {
            receive: ([const { Descriptor::new() }; RX], [const { Buffer::new() }; RX]),
            transmit: ([const { Descriptor::new() }; TX], [const { Buffer::new() }; TX]),
            received: [0; BUFFER],
            to_send: [0; MTU],
        }
    }

    /// The rings over it.
    pub fn rings(&mut self) -> Rings<'_> {
        let Self { receive, transmit, received, to_send } = self;
        Rings {
            receive: Ring { descriptors: &receive.0, buffers: &receive.1, next: 0 },
            transmit: Ring { descriptors: &transmit.0, buffers: &transmit.1, next: 0 },
            received,
            to_send,
        }
    }
}

impl<const RX: usize, const TX: usize> Default for Memory<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// A ring as the DMA is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// Address of the first descriptor.
    pub first: u32,
    /// Index of the last.
    pub last: u16,
    /// The tail pointer to begin with.
    pub tail: u32,
}

/// Receives the tail pointers. All writes to memory must have ended before the DMA sees one.
pub trait Tails {
    /// There is another descriptor to receive into.
    fn set_receive_tail(&mut self, address: u32);
    /// There is another frame to send.
    fn set_transmit_tail(&mut self, address: u32);
}

struct Ring<'a> {
    descriptors: &'a [Descriptor],
    buffers: &'a [Buffer],
    next: usize,
}

impl<'a> Ring<'a> {
    /// The descriptor at this distance from the next one.
    fn at(&self, distance: usize) -> Option<(&'a Descriptor, &'a Buffer)> {
        let index = (self.next + distance).checked_rem(self.descriptors.len())?;
        Some((self.descriptors.get(index)?, self.buffers.get(index)?))
    }

    /// The index behind the next one.
    fn after(&self) -> usize {
        (self.next + 1).checked_rem(self.descriptors.len()).unwrap_or_default()
    }

    fn list(&self, tail: Option<&Descriptor>) -> List {
        List {
            first: self.descriptors.first().map_or(0, address),
            last: u16::try_from(self.descriptors.len().saturating_sub(1)).unwrap_or_default(),
            tail: tail.map_or(0, address),
        }
    }
}

/// Both rings.
pub struct Rings<'a> {
    receive: Ring<'a>,
    transmit: Ring<'a>,
    received: &'a mut [u8; BUFFER],
    to_send: &'a mut [u8; MTU],
}

impl Rings<'_> {
    /// Begins anew, while the DMA is stopped: every frame that was here is lost. The lists to receive and
    /// to transmit.
    pub fn begin(&mut self) -> (List, List) {
        (self.receive.next, self.transmit.next) = (0, 0);
        for (descriptor, buffer) in self.receive.descriptors.iter().zip(self.receive.buffers) {
            descriptor.give(buffer, 0, RECEIVE_INTERRUPT | BUFFER_VALID);
        }
        self.transmit.descriptors.iter().for_each(|descriptor| descriptor.set(3, 0));
        // The last descriptor to receive into is beyond the tail, and so is every one to send.
        (
            self.receive.list(self.receive.descriptors.last()),
            self.transmit.list(self.transmit.descriptors.first()),
        )
    }

    /// Whether a frame has come. Drops what is broken, or longer than a buffer.
    pub fn has_received(&mut self, tails: &mut impl Tails) -> bool {
        while let Some((descriptor, _)) = self.receive.at(0).filter(|(descriptor, _)| descriptor.is_ours()) {
            if descriptor.get(3) & (CONTEXT | FIRST | LAST | ERROR) == FIRST | LAST {
                return true;
            }
            self.release(tails);
        }
        false
    }

    /// Whether a frame can be sent: one descriptor must remain ours, or the tail would be where the DMA is.
    pub fn can_send(&self) -> bool {
        let ours = |distance| self.transmit.at(distance).is_some_and(|(descriptor, _)| descriptor.is_ours());
        ours(0) && ours(1)
    }

    /// The next received frame and the place for one to send, after [`has_received`](Self::has_received) and
    /// [`can_send`](Self::can_send).
    pub fn both<'r, T: Tails>(&'r mut self, tails: &'r mut T) -> (Received<'r>, ToSend<'r, T>) {
        let length = self.receive.at(0).map_or(0, |(descriptor, buffer)| {
            let length = usize::try_from(descriptor.get(3) & LENGTH).unwrap_or_default();
            if let Some(frame) = self.received.get_mut(..length) {
                buffer.read(frame);
            }
            length
        });
        // It has been copied.
        self.release(tails);
        let frame = self.received.get_mut(..length).unwrap_or_default();
        (Received(frame), ToSend::new(self.to_send, &mut self.transmit, tails))
    }

    /// The place for a frame to send, after [`can_send`](Self::can_send).
    pub fn to_send<'r, T: Tails>(&'r mut self, tails: &'r mut T) -> ToSend<'r, T> {
        ToSend::new(self.to_send, &mut self.transmit, tails)
    }

    /// How many frames can be sent before one has left.
    pub fn burst(&self) -> usize {
        self.transmit.descriptors.len().saturating_sub(1)
    }

    /// Gives the next descriptor back to receive into. It is the tail now: the one before it may be used.
    fn release(&mut self, tails: &mut impl Tails) {
        if let Some((descriptor, buffer)) = self.receive.at(0) {
            descriptor.give(buffer, 0, RECEIVE_INTERRUPT | BUFFER_VALID);
            tails.set_receive_tail(address(descriptor));
        }
        self.receive.next = self.receive.after();
    }
}

/// A frame that has come.
pub struct Received<'r>(&'r mut [u8]);

impl Received<'_> {
    /// Its bytes.
    pub fn consume<R>(self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        f(self.0)
    }
}

/// The place for a frame to send.
pub struct ToSend<'r, T> {
    frame: &'r mut [u8; MTU],
    /// This descriptor and its buffer, and the descriptor behind it.
    place: Option<(&'r Descriptor, &'r Buffer)>,
    beyond: Option<&'r Descriptor>,
    next: &'r mut usize,
    after: usize,
    tails: &'r mut T,
}

impl<'r, T: Tails> ToSend<'r, T> {
    fn new(frame: &'r mut [u8; MTU], ring: &'r mut Ring<'_>, tails: &'r mut T) -> Self {
        let place = ring.at(0);
        let beyond = ring.at(1).map(|(descriptor, _)| descriptor);
        let after = ring.after();
        Self { frame, place, beyond, next: &mut ring.next, after, tails }
    }

    /// Fills in a frame of this length, at most [`MTU`], and has it sent.
    pub fn consume<R>(self, length: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        let frame = self.frame.get_mut(..length).unwrap_or_default();
        let result = f(frame);
        if let (Some((descriptor, buffer)), Some(beyond), Ok(bytes)) =
            (self.place, self.beyond, u32::try_from(frame.len()))
        {
            buffer.write(frame);
            descriptor.give(buffer, bytes | SEND_INTERRUPT, FIRST | LAST | bytes);
            *self.next = self.after;
            self.tails.set_transmit_tail(address(beyond));
        }
        result
    }
}

#[cfg(test)]
mod tests;
