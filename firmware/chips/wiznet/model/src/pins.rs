//! What a board has of the chip: SPI bus, interrupt line, reset line.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;

use embedded_hal::digital::{self, OutputPin};
use embedded_hal::spi::{self, Operation};
use embedded_hal_async::digital::Wait;
use embedded_hal_async::spi::SpiDevice;

use crate::{Fault, Model};

/// The chip on its SPI bus.
pub struct Bus(pub(crate) Model);

/// The bus says that a transaction failed.
#[derive(Clone, Copy, Debug)]
pub struct BusError;

impl spi::Error for BusError {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

impl spi::ErrorType for Bus {
    type Error = BusError;
}

impl SpiDevice for Bus {
    async fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), BusError> {
        let mut inner = self.0.0.borrow_mut();
        let inner = &mut *inner;
        inner.transactions += 1;
        if inner.fault == Fault::Bus {
            return Err(BusError);
        }
        let fault = &mut inner.fault;
        let mut frame = inner.memory.select();
        let mut exchange = |out: u8| match fault {
            Fault::Absent(byte) => *byte,
            Fault::Noise(seed) => {
                // splitmix64
                *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                let [byte, ..] = (mixed ^ (mixed >> 27)).to_be_bytes();
                byte
            }
            _ => frame.exchange(out),
        };
        for operation in operations {
            match operation {
                Operation::Read(bytes) => bytes.iter_mut().for_each(|byte| *byte = exchange(0)),
                Operation::Write(bytes) => bytes.iter().for_each(|byte| _ = exchange(*byte)),
                Operation::Transfer(to, from) => {
                    for n in 0..to.len().max(from.len()) {
                        let byte = exchange(from.get(n).copied().unwrap_or_default());
                        if let Some(place) = to.get_mut(n) {
                            *place = byte;
                        }
                    }
                }
                Operation::TransferInPlace(bytes) => {
                    bytes.iter_mut().for_each(|byte| *byte = exchange(*byte));
                }
                Operation::DelayNs(_) => {}
            }
        }
        inner.signal();
        Ok(())
    }
}

/// The line INTn: low while the chip has something to say.
pub struct Line(pub(crate) Model);

impl digital::ErrorType for Line {
    type Error = Infallible;
}

impl Line {
    async fn wait(&mut self, low: bool) {
        poll_fn(|context| {
            let mut inner = self.0.0.borrow_mut();
            if inner.line_is_low() == low {
                return Poll::Ready(());
            }
            inner.line = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Wait for Line {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.wait(false).await;
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait(true).await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait(true).await;
        self.wait_for_high().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait(false).await;
        self.wait_for_low().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        let now = self.0.0.borrow().line_is_low();
        self.wait(!now).await;
        Ok(())
    }
}

/// The line RSTn: the chip is off while it is low.
pub struct ResetPin(pub(crate) Model);

impl digital::ErrorType for ResetPin {
    type Error = Infallible;
}

impl OutputPin for ResetPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().memory.hold();
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().memory.release();
        Ok(())
    }
}
