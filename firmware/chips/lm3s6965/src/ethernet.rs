//! The Ethernet port: MAC and PHY on chip.
//!
//! Frames are moved between the stack's buffers and the FIFOs word by word when the stack asks for them; the interrupt
//! only wakes the stack. So no frame is copied twice, and the 2 KiB receive FIFO is the queue.

mod phy;

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use crate::interrupt::{Interrupt, Priority, enable};
use crate::register::registers;
use phy::{Link, Phy};

registers! { 0x4004_8000;
    /// Raw interrupt status. Writing a 1 clears the bit.
    STATUS = 0x000,
    MASK = 0x004,
    RECEIVE = 0x008,
    TRANSMIT = 0x00C,
    DATA = 0x010,
    ADDRESS_0_TO_3 = 0x014,
    ADDRESS_4_TO_5 = 0x018,
    THRESHOLD = 0x01C,
    FRAMES = 0x034,
    REQUEST = 0x038,
}

registers! { 0x400F_E1E0;
    /// The first three and the last three bytes of the kit's MAC address.
    USER_0 = 0x0,
    USER_1 = 0x4,
}

registers! { 0x4002_5000;
    PORT_F_FUNCTION = 0x420,
    PORT_F_DIGITAL = 0x51C,
}

const ARRIVED: u32 = 1 << 0;
const SENT: u32 = 1 << 2;
const OVERRUN: u32 = 1 << 3;
const BROKEN: u32 = 1 << 4;
const PHY_EVENT: u32 = 1 << 6;

const RECEIVER_ON: u32 = 1 << 0;
const REFUSE_BROKEN: u32 = 1 << 3;
const RESET_FIFO: u32 = 1 << 4;

const TRANSMITTER_ON: u32 = 1 << 0;
const PAD: u32 = 1 << 1;
const APPEND_FCS: u32 = 1 << 2;
const FULL_DUPLEX: u32 = 1 << 4;

/// Threshold: start to send only when the whole frame is in the FIFO.
const WHOLE_FRAME: u32 = 0x3F;
/// The two LEDs of the jack, which the PHY drives.
const LED_PINS: u32 = 0b1100;

const HEADER: usize = 14;
/// MTU: the datagram that every host must accept ([RFC 791], 3.1), with 536 bytes of TCP payload, which fits a record.
/// Beacons and DHCP messages are no longer, and TCP peers are told by the MSS option.
///
/// [RFC 791]: https://www.rfc-editor.org/rfc/rfc791
const FRAME_MAX: usize = HEADER + 576;
/// Overhead of a received frame in the FIFO: length before it, FCS behind it.
const AROUND: usize = 6;

/// Bytes of the receive FIFO.
const FIFO: usize = 2_048;

static WAKER: AtomicWaker = AtomicWaker::new();

/// The programmed MAC address: the kit's, or that of QEMU's option `mac=`; `None` if none is programmed.
pub fn programmed_address() -> Option<[u8; 6]> {
    let (first, last) = (USER_0.read(), USER_1.read());
    if first == u32::MAX || last == u32::MAX {
        return None;
    }
    let [a, b, c, _] = first.to_le_bytes();
    let [d, e, f, _] = last.to_le_bytes();
    Some([a, b, c, d, e, f])
}

/// The port.
pub struct Ethernet {
    address: [u8; 6],
    phy: Phy,
    /// One frame each way: the stack may reply while it still borrows the received frame.
    received: [u8; FRAME_MAX],
    sent: [u8; FRAME_MAX],
}

impl Ethernet {
    /// The port, off. All zero bytes, so that a static of it is in `.bss` and takes no flash.
    pub const fn new() -> Self {
        Self { address: [0; 6], phy: Phy::new(), received: [0; FRAME_MAX], sent: [0; FRAME_MAX] }
    }

    /// Switches it on with this MAC address.
    pub fn start(&mut self, address: [u8; 6]) {
        self.address = address;
        PORT_F_FUNCTION.set(LED_PINS);
        PORT_F_DIGITAL.set(LED_PINS);
        MASK.write(0);
        STATUS.write(u32::MAX);
        let [a, b, c, d, e, f] = self.address;
        ADDRESS_0_TO_3.write(u32::from_le_bytes([a, b, c, d]));
        ADDRESS_4_TO_5.write(u32::from_le_bytes([e, f, 0, 0]));
        THRESHOLD.write(WHOLE_FRAME);
        self.phy.start();
        TRANSMIT.write(TRANSMITTER_ON | PAD | APPEND_FCS | FULL_DUPLEX);
        reset_receiver();
        enable(Interrupt::Ethernet, Priority::Hardware);
        unmask(ARRIVED | OVERRUN | PHY_EVENT);
    }
}

impl Default for Ethernet {
    fn default() -> Self {
        Self::new()
    }
}

fn unmask(events: u32) {
    critical_section::with(|_| MASK.set(events));
}

fn reset_receiver() {
    RECEIVE.write(0);
    RECEIVE.write(RESET_FIFO);
    RECEIVE.write(RECEIVER_ON | REFUSE_BROKEN);
}

/// Whether a frame waits. A FIFO that overran is reset, because the frame boundaries in it are lost.
fn arrived() -> bool {
    if STATUS.read() & OVERRUN != 0 {
        STATUS.write(OVERRUN | BROKEN | ARRIVED);
        reset_receiver();
    }
    FRAMES.read() & 0x3F != 0
}

fn may_send() -> bool {
    REQUEST.read() & 1 == 0
}

impl Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, Sending<'_>)> {
        WAKER.register(cx.waker());
        if !arrived() {
            STATUS.write(ARRIVED);
            // It may have arrived before the waker was registered.
            if !arrived() {
                unmask(ARRIVED | OVERRUN);
                return None;
            }
        }
        if !may_send() {
            unmask(SENT);
            return None;
        }
        Some((Received(&mut self.received), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Sending<'_>> {
        WAKER.register(cx.waker());
        STATUS.write(SENT);
        if may_send() {
            return Some(Sending(&mut self.sent));
        }
        unmask(SENT);
        None
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        WAKER.register(cx.waker());
        let link = self.phy.link();
        unmask(PHY_EVENT);
        if link == Link::Down {
            return LinkState::Down;
        }
        let rest = TRANSMIT.read() & !FULL_DUPLEX;
        TRANSMIT.write(if link == Link::FullDuplex { rest | FULL_DUPLEX } else { rest });
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_MAX;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// The oldest frame in the receive FIFO.
pub struct Received<'a>(&'a mut [u8; FRAME_MAX]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(take(self.0))
    }
}

/// Moves a frame out of the FIFO. One that does not fit is discarded.
fn take(frame: &mut [u8; FRAME_MAX]) -> &mut [u8] {
    let [low, high, first, second] = DATA.read().to_le_bytes();
    let length = usize::from(u16::from_le_bytes([low, high]));
    if !(AROUND + HEADER..=FIFO).contains(&length) {
        reset_receiver();
        return &mut [];
    }
    // The FIFO is read in whole words; the first one has been read.
    let words = (length - 4).div_ceil(4);
    let [to_first, to_second, rest @ ..] = frame;
    (*to_first, *to_second) = (first, second);
    let mut places = rest.chunks_mut(4);
    for _ in 0..words {
        let word = DATA.read().to_le_bytes();
        if let Some(place) = places.next() {
            for (to, from) in place.iter_mut().zip(word) {
                *to = from;
            }
        }
    }
    frame.get_mut(..length - AROUND).unwrap_or_default()
}

/// Space for one frame to send.
pub struct Sending<'a>(&'a mut [u8; FRAME_MAX]);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        // The stack asks for at most the MTU of our capabilities.
        let frame = self.0.get_mut(..length).unwrap_or_default();
        let result = f(frame);
        give(frame);
        result
    }
}

/// Moves a frame into the FIFO and has it sent.
fn give(frame: &[u8]) {
    let (Ok(payload), Some(([first, second], rest))) =
        (u16::try_from(frame.len().saturating_sub(HEADER)), frame.split_first_chunk())
    else {
        return;
    };
    let [low, high] = payload.to_le_bytes();
    DATA.write(u32::from_le_bytes([low, high, *first, *second]));
    let (words, last) = rest.as_chunks();
    for word in words {
        DATA.write(u32::from_le_bytes(*word));
    }
    if !last.is_empty() {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(last) {
            *to = *from;
        }
        DATA.write(u32::from_le_bytes(word));
    }
    REQUEST.write(1);
}

// SAFETY: the name is that of a place in our vector table, which nothing else defines.
#[unsafe(no_mangle)]
extern "C" fn ETHERNET() {
    if STATUS.read() & MASK.read() & PHY_EVENT != 0 {
        phy::event();
    }
    // Masked until a poll of the driver finds nothing and unmasks it.
    MASK.write(0);
    WAKER.wake();
}
