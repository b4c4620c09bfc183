//! The chip's memory: registers, and what reading and writing them does.

use std::collections::VecDeque;

use embassy_time::{Duration, Instant};

use crate::buffer::{Buffer, SIZE};

/// Which chip it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// WIZnet W5500.
    W5500,
    /// WIZnet W6100.
    W6100,
}

/// Both kinds.
impl Kind {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::W5500, Self::W6100];

    /// Until it answers after its reset line has gone high.
    fn start(self) -> Duration {
        match self {
            Self::W5500 => Duration::from_millis(1),
            Self::W6100 => Duration::from_micros(60_300),
        }
    }
}

/// Registers by what they are for, whatever their address.
#[derive(Clone, Copy)]
enum Register {
    /// Reads as this.
    Fixed(u8),
    HardwareAddress(usize),
    NetworkLock,
    SocketInterruptMask,
    Phy,
    Mode,
    Command,
    Interrupt,
    /// Reads as 0.
    InterruptClear,
    InterruptMask,
    Status,
    ReceiveSize(usize),
    TransmitSize(usize),
    /// The upper byte of a word, or the lower.
    TransmitFree(bool),
    TransmitRead(bool),
    TransmitWrite(bool),
    ReceivedSize(bool),
    ReceiveRead(bool),
    ReceiveWrite(bool),
    Other,
}

/// Bytes of the shortest frame on a cable, without its check sequence. Shorter ones are remains of
/// collisions.
const FRAME_MIN: usize = 60;

const OPENED_RAW: u8 = 0x42;
const RECEIVED: u8 = 0x04;
const SENT: u8 = 0x10;

/// The state of a chip, its wires aside.
pub(crate) struct Memory {
    kind: Kind,
    /// `None` while its reset line is low.
    ready_at: Option<Instant>,
    pub(crate) resets: u64,
    plugged: bool,
    /// What it could not send, for lack of a link.
    held: Option<Vec<u8>>,
    /// Whether the next size that is read is torn, if some are.
    pub(crate) torn: Option<bool>,
    pub(crate) transmitter_stuck: bool,
    pub(crate) commands_stuck: bool,
    pub(crate) address_stuck: bool,
    pub(crate) ends_quietly: bool,
    pub(crate) overruns: u64,
    pub(crate) sent: VecDeque<Vec<u8>>,
    registers: Registers,
}

/// What a reset clears.
struct Registers {
    hardware_address: [u8; 6],
    unlocked: bool,
    socket_interrupts: u8,
    mode: u8,
    /// Mode when the socket was opened.
    opened: u8,
    command: u8,
    interrupt: u8,
    interrupt_mask: u8,
    status: u8,
    receive_sizes: [u8; 8],
    transmit_sizes: [u8; 8],
    receive: Buffer,
    /// As the host has set it, and as the chip has taken note of it with the last RECV.
    receive_read: [u8; 2],
    receive_taken: u16,
    receive_write: u16,
    transmit: Buffer,
    transmit_read: u16,
    transmit_write: [u8; 2],
    /// Looks at the interrupt register until the frame that is on its way has been sent.
    sending: Option<u8>,
}

impl Registers {
    fn new() -> Self {
        Self {
            hardware_address: [0; 6],
            unlocked: false,
            socket_interrupts: 0,
            mode: 0,
            opened: 0,
            command: 0,
            interrupt: 0,
            interrupt_mask: 0xFF,
            status: 0,
            receive_sizes: [2; 8],
            transmit_sizes: [2; 8],
            receive: Buffer::new(),
            receive_read: [0; 2],
            receive_taken: 0,
            receive_write: 0,
            transmit: Buffer::new(),
            transmit_read: 0,
            transmit_write: [0; 2],
            sending: None,
        }
    }
}

impl Memory {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            ready_at: Some(Instant::MIN),
            resets: 0,
            plugged: true,
            held: None,
            torn: None,
            transmitter_stuck: false,
            commands_stuck: false,
            address_stuck: false,
            ends_quietly: false,
            overruns: 0,
            sent: VecDeque::new(),
            registers: Registers::new(),
        }
    }

    /// The reset line goes low.
    pub(crate) fn hold(&mut self) {
        self.ready_at = None;
        self.resets += 1;
    }

    /// The reset line goes high.
    pub(crate) fn release(&mut self) {
        self.ready_at = Some(Instant::now() + self.kind.start());
        self.reset();
    }

    pub(crate) fn reset(&mut self) {
        self.held = None;
        self.registers = Registers::new();
    }

    /// The cable is in, or out.
    pub(crate) fn plug(&mut self, plugged: bool) {
        self.plugged = plugged;
        if plugged {
            self.sent.extend(self.held.take());
        }
    }

    fn ready(&self) -> bool {
        self.ready_at.is_some_and(|at| at <= Instant::now())
    }

    /// Whether the chip pulls its interrupt line low.
    pub(crate) fn interrupts(&self) -> bool {
        let registers = &self.registers;
        self.ready()
            && registers.socket_interrupts & 1 != 0
            && registers.interrupt & registers.interrupt_mask != 0
    }

    /// A frame comes on the cable, and is kept with this length before it. False if it is not kept.
    pub(crate) fn arrive(&mut self, frame: &[u8], header: u16) -> bool {
        let hears = self.ready() && self.plugged && self.registers.status == OPENED_RAW;
        if !hears || frame.len() < FRAME_MIN || !self.passes(frame) {
            return false;
        }
        let registers = &mut self.registers;
        let held = registers.receive_write.wrapping_sub(registers.receive_taken);
        if usize::from(SIZE - held) < frame.len() + 2 {
            self.overruns += 1;
            return false;
        }
        let bytes = header.to_be_bytes().into_iter().chain(frame.iter().copied());
        registers.receive_write = registers.receive.put(registers.receive_write, bytes);
        registers.interrupt |= RECEIVED;
        true
    }

    /// Whether the filters let a frame pass.
    fn passes(&self, frame: &[u8]) -> bool {
        let opened = self.registers.opened;
        let Some((to, rest)) = frame.split_first_chunk::<6>() else { return false };
        let ipv6 = rest.get(6..8) == Some(&[0x86, 0xDD]);
        let is_on = |bit: u8| opened & 1 << bit != 0;
        if is_on(4) && ipv6 {
            return false;
        }
        match to {
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF] => !is_on(6),
            [first, ..] if first & 1 != 0 => !is_on(5),
            to => !is_on(7) || *to == self.registers.hardware_address,
        }
    }

    /// The chip is selected: the beginning of an SPI frame.
    pub(crate) fn select(&mut self) -> Frame<'_> {
        Frame { memory: self, header: Vec::new(), at: 0 }
    }

    fn read(&mut self, block: u8, at: u16) -> u8 {
        match block {
            0b00010 => return self.registers.transmit.read(at),
            0b00011 => return self.registers.receive.read(at),
            _ => {}
        }
        let register = self.register(block, at);
        let registers = &mut self.registers;
        let half = |word: u16, upper: bool| {
            let [high, low] = word.to_be_bytes();
            if upper { high } else { low }
        };
        match register {
            Register::Fixed(value) => value,
            Register::HardwareAddress(n) => registers.hardware_address.get(n).copied().unwrap_or_default(),
            Register::NetworkLock | Register::InterruptClear | Register::Other => 0,
            Register::SocketInterruptMask => registers.socket_interrupts,
            // Full duplex, 100 Mbit/s on both chips, and the link.
            Register::Phy => match self.kind {
                Kind::W5500 => 0b1011_1110 | u8::from(self.plugged),
                Kind::W6100 => u8::from(self.plugged),
            },
            Register::Mode => registers.mode,
            Register::Command => registers.command,
            Register::Interrupt => {
                registers.sending = match registers.sending {
                    Some(0) if !self.transmitter_stuck && self.held.is_none() => {
                        registers.transmit_read = u16::from_be_bytes(registers.transmit_write);
                        if !self.ends_quietly {
                            registers.interrupt |= SENT;
                        }
                        None
                    }
                    looks => looks.map(|looks| looks.saturating_sub(1)),
                };
                registers.interrupt
            }
            Register::InterruptMask => registers.interrupt_mask,
            Register::Status => registers.status,
            Register::ReceiveSize(socket) => registers.receive_sizes.get(socket).copied().unwrap_or_default(),
            Register::TransmitSize(socket) => {
                registers.transmit_sizes.get(socket).copied().unwrap_or_default()
            }
            Register::TransmitFree(upper) => {
                let used = u16::from_be_bytes(registers.transmit_write).wrapping_sub(registers.transmit_read);
                half(SIZE.saturating_sub(used), upper)
            }
            Register::TransmitRead(upper) => half(registers.transmit_read, upper),
            Register::TransmitWrite(upper) => half(u16::from_be_bytes(registers.transmit_write), upper),
            Register::ReceivedSize(upper) => {
                let size = registers.receive_write.wrapping_sub(registers.receive_taken);
                let torn = upper && self.torn == Some(true) && size >= 0x100;
                if !upper {
                    self.torn = self.torn.map(|torn| !torn);
                }
                if torn { 0 } else { half(size, upper) }
            }
            Register::ReceiveRead(upper) => half(u16::from_be_bytes(registers.receive_read), upper),
            Register::ReceiveWrite(upper) => half(registers.receive_write, upper),
        }
    }

    fn write(&mut self, block: u8, at: u16, value: u8) {
        match block {
            0b00010 => return self.registers.transmit.write(at, value),
            0b00011 => return,
            _ => {}
        }
        let register = self.register(block, at);
        let locked = self.address_stuck || self.kind == Kind::W6100 && !self.registers.unlocked;
        let registers = &mut self.registers;
        let set = |place: Option<&mut u8>| {
            if let Some(place) = place {
                *place = value;
            }
        };
        match register {
            Register::HardwareAddress(n) if !locked => set(registers.hardware_address.get_mut(n)),
            Register::NetworkLock => registers.unlocked = value == 0x3A,
            Register::SocketInterruptMask => registers.socket_interrupts = value,
            Register::Mode => registers.mode = value,
            Register::Command => self.command(value),
            // The W6100's is read-only; it has another to clear it.
            Register::Interrupt if self.kind == Kind::W5500 => registers.interrupt &= !value,
            Register::InterruptClear => registers.interrupt &= !value,
            Register::InterruptMask => registers.interrupt_mask = value,
            Register::ReceiveSize(socket) => set(registers.receive_sizes.get_mut(socket)),
            Register::TransmitSize(socket) => set(registers.transmit_sizes.get_mut(socket)),
            Register::TransmitWrite(upper) => set(registers.transmit_write.get_mut(usize::from(!upper))),
            Register::ReceiveRead(upper) => set(registers.receive_read.get_mut(usize::from(!upper))),
            _ => {}
        }
    }

    fn command(&mut self, command: u8) {
        if self.commands_stuck {
            self.registers.command = command;
            return;
        }
        let raw = if self.kind == Kind::W5500 { 0x04 } else { 0x07 };
        let registers = &mut self.registers;
        match command {
            0x01 if registers.mode & 0x0F == raw => {
                // Only with all of both memories can its addresses wrap at 16 KiB.
                let all_for_it = |sizes: [u8; 8]| sizes == [16, 0, 0, 0, 0, 0, 0, 0];
                if all_for_it(registers.receive_sizes) && all_for_it(registers.transmit_sizes) {
                    // The data sheets say that OPEN sets the addresses, not to what.
                    (registers.receive_read, registers.receive_taken) = ([0xFF, 0xF0], 0xFFF0);
                    registers.receive_write = 0xFFF0;
                    (registers.transmit_read, registers.transmit_write) = (0xFE00, [0xFE, 0x00]);
                    registers.opened = registers.mode;
                    registers.status = OPENED_RAW;
                }
            }
            0x10 => {
                self.held = None;
                registers.status = 0;
                registers.sending = None;
            }
            0x20 if registers.status == OPENED_RAW => {
                let end = u16::from_be_bytes(registers.transmit_write);
                let frame = registers.transmit.take(registers.transmit_read, end);
                // A second SEND before the end of the first is not described, nor what becomes of a short
                // frame: such frames are lost here.
                let described = registers.sending.is_none() && frame.len() >= FRAME_MIN;
                if described && !self.transmitter_stuck {
                    if self.plugged { self.sent.push_back(frame) } else { self.held = Some(frame) }
                }
                registers.sending = Some(2);
            }
            0x40 => registers.receive_taken = u16::from_be_bytes(registers.receive_read),
            _ => {}
        }
    }

    /// Which register is at this address.
    fn register(&self, block: u8, at: u16) -> Register {
        match (self.kind, block) {
            (Kind::W5500, 0) => match at {
                0x0009..=0x000E => Register::HardwareAddress(usize::from(at - 0x0009)),
                0x0018 => Register::SocketInterruptMask,
                0x002E => Register::Phy,
                0x0039 => Register::Fixed(0x04),
                _ => Register::Other,
            },
            (Kind::W6100, 0) => match at {
                0x0000 | 0x0003 => Register::Fixed(0x61),
                0x0002 => Register::Fixed(0x46),
                0x2114 => Register::SocketInterruptMask,
                0x3000 => Register::Phy,
                0x4120..=0x4125 => Register::HardwareAddress(usize::from(at - 0x4120)),
                0x41F5 => Register::NetworkLock,
                _ => Register::Other,
            },
            (Kind::W5500, 1) => match at {
                0x00 => Register::Mode,
                0x01 => Register::Command,
                0x02 => Register::Interrupt,
                0x03 => Register::Status,
                0x1E => Register::ReceiveSize(0),
                0x1F => Register::TransmitSize(0),
                0x20 | 0x21 => Register::TransmitFree(at == 0x20),
                0x22 | 0x23 => Register::TransmitRead(at == 0x22),
                0x24 | 0x25 => Register::TransmitWrite(at == 0x24),
                0x26 | 0x27 => Register::ReceivedSize(at == 0x26),
                0x28 | 0x29 => Register::ReceiveRead(at == 0x28),
                0x2A | 0x2B => Register::ReceiveWrite(at == 0x2A),
                0x2C => Register::InterruptMask,
                _ => Register::Other,
            },
            (Kind::W6100, 1) => match at {
                0x0000 => Register::Mode,
                0x0010 => Register::Command,
                0x0020 => Register::Interrupt,
                0x0024 => Register::InterruptMask,
                0x0028 => Register::InterruptClear,
                0x0030 => Register::Status,
                0x0200 => Register::TransmitSize(0),
                0x0204 | 0x0205 => Register::TransmitFree(at == 0x0204),
                0x0208 | 0x0209 => Register::TransmitRead(at == 0x0208),
                0x020C | 0x020D => Register::TransmitWrite(at == 0x020C),
                0x0220 => Register::ReceiveSize(0),
                0x0224 | 0x0225 => Register::ReceivedSize(at == 0x0224),
                0x0228 | 0x0229 => Register::ReceiveRead(at == 0x0228),
                0x022C | 0x022D => Register::ReceiveWrite(at == 0x022C),
                _ => Register::Other,
            },
            (kind, block) if block % 4 == 1 => {
                let socket = usize::from(block / 4);
                match (kind, at) {
                    (Kind::W5500, 0x1E) | (Kind::W6100, 0x0220) => Register::ReceiveSize(socket),
                    (Kind::W5500, 0x1F) | (Kind::W6100, 0x0200) => Register::TransmitSize(socket),
                    _ => Register::Other,
                }
            }
            _ => Register::Other,
        }
    }
}

/// An SPI frame: two bytes of offset, one of block and direction, then data.
pub(crate) struct Frame<'a> {
    memory: &'a mut Memory,
    header: Vec<u8>,
    at: u16,
}

impl Frame<'_> {
    /// A byte goes in, and one comes out.
    pub(crate) fn exchange(&mut self, byte: u8) -> u8 {
        if !self.memory.ready() {
            return 0;
        }
        let [high, low, control] = self.header[..] else {
            self.header.push(byte);
            // Undriven while the header goes in.
            return 0xFF;
        };
        let at = u16::from_be_bytes([high, low]).wrapping_add(self.at);
        self.at = self.at.wrapping_add(1);
        let block = control >> 3;
        if control & 0b100 != 0 {
            self.memory.write(block, at, byte);
            return 0;
        }
        self.memory.read(block, at)
    }
}
