//! The serial console: UART0 at 115,200 baud, 8 bits, no parity, one stop bit.
//!
//! The interrupt moves bytes between the UART's FIFOs and two ring buffers. While the receive ring is full the receive
//! interrupt is masked, and bytes that overrun the 16-byte FIFO are lost: the next read returns an error. (QEMU instead
//! stops the sender.)

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use crate::clock::HERTZ;
use crate::interrupt::{Interrupt, Priority, enable};
use crate::register::registers;

registers! { 0x4000_4000;
    PORT_A_FUNCTION = 0x420,
    PORT_A_PULL_UP = 0x510,
    PORT_A_DIGITAL = 0x51C,
}

registers! { 0x4000_C000;
    DATA = 0x000,
    FLAGS = 0x018,
    BAUD_WHOLE = 0x024,
    BAUD_64TH = 0x028,
    LINE = 0x02C,
    CONTROL = 0x030,
    LEVELS = 0x034,
    MASK = 0x038,
    CLEAR = 0x044,
}

const RX_AND_TX_PINS: u32 = 0b11;
const RX_PIN: u32 = 0b01;
const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;
const EIGHT_BITS_FIFO: u32 = (0b11 << 5) | (1 << 4);
const ENABLE_BOTH_WAYS: u32 = (1 << 9) | (1 << 8) | 1;
/// The receive FIFO has reached its level, or has held fewer bytes for a while.
const RECEIVED: u32 = (1 << 4) | (1 << 6);
const TRANSMITTED: u32 = 1 << 5;
const OVERRUN: u32 = 1 << 11;

const BAUD: u32 = 115_200;

type Ring<const N: usize> = Pipe<CriticalSectionRawMutex, N>;

static RECEIVING: Ring<256> = Ring::new();
static TRANSMITTING: Ring<256> = Ring::new();
static LOST: AtomicBool = AtomicBool::new(false);
static DRAINED: AtomicWaker = AtomicWaker::new();

/// The console. There is one.
pub struct Console(());

/// Receive overrun: bytes came faster than they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

impl core::fmt::Display for Overrun {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("bytes were lost on the console: send them more slowly")
    }
}

impl core::error::Error for Overrun {}

impl embedded_io_async::Error for Overrun {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl Console {
    /// Starts the UART. Once.
    pub fn start() -> Self {
        PORT_A_FUNCTION.set(RX_AND_TX_PINS);
        // Without an adapter the line floats.
        PORT_A_PULL_UP.set(RX_PIN);
        PORT_A_DIGITAL.set(RX_AND_TX_PINS);
        CONTROL.write(0);
        // The baud-rate divisor for 16-fold oversampling, in 64ths, rounded.
        let divisor = (HERTZ * 8 / BAUD).div_ceil(2);
        BAUD_WHOLE.write(divisor / 64);
        BAUD_64TH.write(divisor % 64);
        LINE.write(EIGHT_BITS_FIFO);
        // Interrupt levels: receive FIFO half full, transmit FIFO down to an eighth.
        LEVELS.write(2 << 3);
        MASK.write(RECEIVED);
        CONTROL.write(ENABLE_BOTH_WAYS);
        enable(Interrupt::Uart0, Priority::Hardware);
        Self(())
    }
}

/// Moves bytes between FIFOs and rings, then sets the interrupt mask to what is waited for.
fn pump() {
    let mut wanted = 0;
    critical_section::with(|_| {
        CLEAR.write(RECEIVED | TRANSMITTED);
        loop {
            if RECEIVING.is_full() {
                break;
            }
            if FLAGS.read() & RECEIVE_EMPTY != 0 {
                wanted |= RECEIVED;
                break;
            }
            let data = DATA.read();
            if data & OVERRUN != 0 {
                LOST.store(true, Ordering::Relaxed);
            }
            let [byte, ..] = data.to_le_bytes();
            // Cannot fail: the ring has space, and only this interrupt writes to it.
            let _ = RECEIVING.try_write(&[byte]);
        }
        let mut byte = [0];
        while FLAGS.read() & TRANSMIT_FULL == 0 && TRANSMITTING.try_read(&mut byte).is_ok() {
            let [byte] = byte;
            DATA.write(byte.into());
        }
        if TRANSMITTING.is_empty() {
            DRAINED.wake();
        } else {
            wanted |= TRANSMITTED;
        }
        MASK.write(wanted);
    });
}

impl ErrorType for Console {
    type Error = Overrun;
}

impl Read for Console {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Overrun> {
        if LOST.swap(false, Ordering::Relaxed) {
            return Err(Overrun);
        }
        let read = RECEIVING.read(bytes).await;
        // The ring may have space again for bytes in the FIFO.
        pump();
        Ok(read)
    }
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Overrun> {
        let written = TRANSMITTING.write(bytes).await;
        pump();
        Ok(written)
    }

    /// Waits until the transmit ring is empty. The last bytes may still be in the FIFO.
    async fn flush(&mut self) -> Result<(), Overrun> {
        poll_fn(|cx| {
            DRAINED.register(cx.waker());
            if TRANSMITTING.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }
}

/// The console without rings and interrupts, for panic messages. It busy-waits for the UART.
pub struct LastWords;

impl core::fmt::Write for LastWords {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            while FLAGS.read() & TRANSMIT_FULL != 0 {}
            DATA.write(byte.into());
        }
        Ok(())
    }
}

// SAFETY: the name is that of a place in our vector table, which nothing else defines.
#[unsafe(no_mangle)]
extern "C" fn UART0() {
    pump();
}
