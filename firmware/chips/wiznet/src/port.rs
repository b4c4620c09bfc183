//! The chip as an Ethernet port: set up, frames in and out, and its state.
//!
//! Nothing that comes over SPI is trusted: a length is checked before it is used, and every wait is bounded.

use embassy_time::Timer;
use embedded_hal_async::spi::{Operation, SpiDevice};

use crate::fault::Fault;
use crate::registers::{Address, Block, Chip};

/// Bytes of a frame without its check sequence that the stack takes: 14 of header, 1,500 of payload.
pub(crate) const MTU: usize = 1_514;

/// Bytes of the shortest frame on a cable, without its check sequence. The stack makes shorter ones.
const FRAME_MIN: u16 = 60;
const PADDING: [u8; FRAME_MIN as usize] = [0; FRAME_MIN as usize];
/// Bytes before each received frame: its length, these two included.
const HEADER: u16 = 2;

/// All of the chip's 16 KiB for each direction belongs to socket 0.
const BUFFER_KIB: u8 = 16;
const BUFFER: u16 = 1_024 * BUFFER_KIB as u16;
const SOCKETS: u8 = 8;

const OPEN: u8 = 0x01;
const CLOSE: u8 = 0x10;
const SEND: u8 = 0x20;
const RECV: u8 = 0x40;

const RECEIVED: u8 = 1 << 2;
const SENT: u8 = 1 << 4;
const ALL_INTERRUPTS: u8 = 0x1F;

const SOCKET_CLOSED: u8 = 0x00;
const SOCKET_RAW: u8 = 0x42;

const LINK: u8 = 1;

/// Looks at a register before a millisecond passes between two of them; a frame of 1,514 bytes takes 0.13
/// ms to send.
const QUICK_LOOKS: usize = 50;
/// Milliseconds after that. A frame that collides again and again on a half-duplex link of 10 Mbit/s takes
/// that long.
const SLOW_LOOKS: usize = 100;
/// A size of two bytes may change between the first and the second. It only grows, so what was read is
/// never too large.
const HEADER_LOOKS: usize = 4;

/// What was next in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Nothing.
    Nothing,
    /// A frame of this many bytes.
    Frame(usize),
    /// A frame that was discarded: it is longer than the MTU.
    TooLong,
}

/// A chip, its socket 0 open.
pub(crate) struct Port<S> {
    spi: S,
    chip: &'static Chip,
    /// A frame was handed over, and its end has not been seen.
    sending: bool,
}

impl<S: SpiDevice> Port<S> {
    pub(crate) fn new(spi: S, chip: &'static Chip) -> Self {
        Self { spi, chip, sending: false }
    }

    /// Sets up a chip that was just reset, with this hardware address.
    pub(crate) async fn set_up(&mut self, hardware_address: [u8; 6]) -> Result<(), Fault> {
        self.identify().await?;
        if let Some((lock, key)) = self.chip.unlock {
            self.write(lock, &[key]).await?;
        }
        self.write(self.chip.hardware_address, &hardware_address).await?;
        let mut taken = [0; 6];
        self.read(self.chip.hardware_address, &mut taken).await?;
        if taken != hardware_address {
            return Err(Fault::Locked);
        }
        // The other sockets first: together they must never have more than there is.
        for socket in (0..SOCKETS).rev() {
            let kib = if socket == 0 { BUFFER_KIB } else { 0 };
            self.write(self.chip.transmit_buffer_size.of_socket(socket), &[kib]).await?;
            self.write(self.chip.receive_buffer_size.of_socket(socket), &[kib]).await?;
        }
        self.write(self.chip.interrupt_mask, &[RECEIVED]).await?;
        self.write(self.chip.socket_interrupts, &[1]).await?;
        self.open().await
    }

    /// Opens the socket, or opens it anew. What was in its buffers is lost.
    pub(crate) async fn open(&mut self) -> Result<(), Fault> {
        self.sending = false;
        self.command(CLOSE).await?;
        self.wait_for(self.chip.status, |status| status == SOCKET_CLOSED).await?;
        self.write(self.chip.interrupt_clear, &[ALL_INTERRUPTS]).await?;
        self.write(self.chip.mode, &[self.chip.mode_value]).await?;
        self.command(OPEN).await?;
        self.wait_for(self.chip.status, |status| status == SOCKET_RAW).await?;
        Ok(())
    }

    /// Whether there is a link; fails if the chip does not answer or is no longer set up.
    pub(crate) async fn link(&mut self) -> Result<bool, Fault> {
        if self.read_byte(self.chip.status).await? != SOCKET_RAW {
            return Err(Fault::Reset);
        }
        Ok(self.read_byte(self.chip.phy).await? & LINK != 0)
    }

    /// Lets go of the interrupt line, and says whether it was for a received frame.
    pub(crate) async fn acknowledge(&mut self) -> Result<bool, Fault> {
        let received = self.read_byte(self.chip.interrupt).await? & RECEIVED != 0;
        if received {
            self.write(self.chip.interrupt_clear, &[RECEIVED]).await?;
        }
        Ok(received)
    }

    /// Takes the next frame out of the receive buffer.
    pub(crate) async fn receive(&mut self, frame: &mut [u8; MTU]) -> Result<Received, Fault> {
        for _ in 0..HEADER_LOOKS {
            let size = self.read_word(self.chip.received_size).await?;
            if size == 0 {
                return Ok(Received::Nothing);
            }
            let start = self.read_word(self.chip.receive_read).await?;
            let length = self.read_word(Address::new(Block::RECEIVE, start)).await?;
            if length > size || length < HEADER + FRAME_MIN {
                continue;
            }
            let bytes = usize::from(length - HEADER);
            let received = match frame.get_mut(..bytes) {
                Some(frame) => {
                    self.read(Address::new(Block::RECEIVE, start.wrapping_add(HEADER)), frame).await?;
                    Received::Frame(bytes)
                }
                None => Received::TooLong,
            };
            self.write_word(self.chip.receive_read, start.wrapping_add(length)).await?;
            self.command(RECV).await?;
            return Ok(received);
        }
        Err(Fault::OutOfStep)
    }

    /// Has a frame sent. Waits for the end of the one before it, not for its own.
    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<(), Fault> {
        self.finish_sending().await?;
        let padding = PADDING.get(frame.len()..).unwrap_or_default();
        let length = u16::try_from(frame.len() + padding.len()).unwrap_or(u16::MAX);
        // The buffer is empty now, and larger than any frame.
        let start = self.read_word(self.chip.transmit_write).await?;
        let end = start.wrapping_add(length);
        self.write(Address::new(Block::TRANSMIT, start), frame).await?;
        if let Ok(missing @ 1..) = u16::try_from(padding.len()) {
            self.write(Address::new(Block::TRANSMIT, end.wrapping_sub(missing)), padding).await?;
        }
        self.write_word(self.chip.transmit_write, end).await?;
        self.command(SEND).await?;
        self.sending = true;
        Ok(())
    }

    /// Waits until the frame before has been sent. The chip says so by an interrupt, and by an empty buffer:
    /// either will do, because drivers in use rely on one or the other.
    async fn finish_sending(&mut self) -> Result<(), Fault> {
        let mut looks = Looks::new();
        while self.sending {
            let sent = self.read_byte(self.chip.interrupt).await? & SENT != 0;
            if sent || self.read_word(self.chip.transmit_free).await? == BUFFER {
                self.write(self.chip.interrupt_clear, &[SENT]).await?;
                self.sending = false;
            } else {
                looks.another().await?;
            }
        }
        Ok(())
    }

    async fn identify(&mut self) -> Result<(), Fault> {
        let (register, identity) = self.chip.identity;
        if self.read_byte(register).await? == identity { Ok(()) } else { Err(Fault::Unidentified) }
    }

    /// The chip clears the register when it has accepted the command.
    async fn command(&mut self, command: u8) -> Result<(), Fault> {
        self.write(self.chip.command, &[command]).await?;
        self.wait_for(self.chip.command, |command| command == 0).await
    }

    async fn wait_for(&mut self, register: Address, is_so: impl Fn(u8) -> bool) -> Result<(), Fault> {
        let mut looks = Looks::new();
        while !is_so(self.read_byte(register).await?) {
            looks.another().await?;
        }
        Ok(())
    }

    async fn read_byte(&mut self, from: Address) -> Result<u8, Fault> {
        let mut byte = [0];
        self.read(from, &mut byte).await?;
        let [byte] = byte;
        Ok(byte)
    }

    async fn read_word(&mut self, from: Address) -> Result<u16, Fault> {
        let mut word = [0; 2];
        self.read(from, &mut word).await?;
        Ok(u16::from_be_bytes(word))
    }

    async fn write_word(&mut self, to: Address, word: u16) -> Result<(), Fault> {
        self.write(to, &word.to_be_bytes()).await
    }

    async fn read(&mut self, from: Address, bytes: &mut [u8]) -> Result<(), Fault> {
        let header = from.reading();
        let mut frame = [Operation::Write(&header), Operation::Read(bytes)];
        self.spi.transaction(&mut frame).await.map_err(|_| Fault::Spi)
    }

    async fn write(&mut self, to: Address, bytes: &[u8]) -> Result<(), Fault> {
        let header = to.writing();
        let mut frame = [Operation::Write(&header), Operation::Write(bytes)];
        self.spi.transaction(&mut frame).await.map_err(|_| Fault::Spi)
    }
}

/// A bounded number of looks at a register.
struct Looks(usize);

impl Looks {
    fn new() -> Self {
        Self(0)
    }

    /// Waits until it is time for another look; fails after the last.
    async fn another(&mut self) -> Result<(), Fault> {
        self.0 += 1;
        if self.0 >= QUICK_LOOKS + SLOW_LOOKS {
            return Err(Fault::Stuck);
        }
        if self.0 >= QUICK_LOOKS {
            Timer::after_millis(1).await;
        }
        Ok(())
    }
}
