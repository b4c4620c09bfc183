//! The serial function as a console.

use core::convert::Infallible;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, with_timeout};
use embassy_usb::class::cdc_acm::{CdcAcmClass, ControlChanged, Receiver, Sender};
use embassy_usb::driver::Driver;
use embedded_io_async::{ErrorType, Read, Write};

use crate::PACKET;

/// A packet that is full would keep the host waiting for another.
const WRITTEN: usize = PACKET as usize - 1;
/// How long a terminal may take for a packet.
const PATIENCE: Duration = Duration::from_millis(500);
/// What a terminal is greeted with: as if its user had typed Ctrl-C, which gives a half-typed line up and prompts for
/// another, and repeats a refusal.
const GREETING: u8 = 0x03;

/// A line that never fails. What is written while no terminal listens is dropped, so that a board runs without one.
///
/// A terminal listens once it has opened the port (DTR), or has sent something, until it takes nothing for half a second.
pub struct Console<D: Driver<'static>> {
    sender: Sender<'static, D>,
    receiver: Receiver<'static, D>,
    changed: ControlChanged<'static>,
    packet: [u8; PACKET as usize],
    /// Bytes of the packet that were not read yet.
    unread: core::ops::Range<usize>,
    open: bool,
    typed: bool,
    deaf: bool,
}

impl<D: Driver<'static>> Console<D> {
    pub(crate) fn new(class: CdcAcmClass<'static, D>) -> Self {
        let (sender, receiver, changed) = class.split_with_control();
        let packet = [0; PACKET as usize];
        Self { sender, receiver, changed, packet, unread: 0..0, open: false, typed: false, deaf: false }
    }

    fn listens(&self) -> bool {
        (self.changed.dtr() || self.typed) && !self.deaf
    }
}

impl<D: Driver<'static>> ErrorType for Console<D> {
    type Error = Infallible;
}

impl<D: Driver<'static>> Read for Console<D> {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = to.first_mut() else { return Ok(0) };
        while self.unread.is_empty() {
            let Self { receiver, packet, changed, .. } = &mut *self;
            let packet = async {
                // Some drivers read from an endpoint that was never enabled.
                receiver.wait_connection().await;
                receiver.read_packet(packet).await
            };
            match select(changed.control_changed(), packet).await {
                Either::First(()) => {
                    let opened = self.changed.dtr() && !self.open;
                    self.open = self.changed.dtr();
                    (self.typed, self.deaf) = (false, false);
                    if opened {
                        *first = GREETING;
                        return Ok(1);
                    }
                }
                Either::Second(Ok(len)) => {
                    self.unread = 0..len;
                    (self.typed, self.deaf) = (true, false);
                }
                // Disabled: enabled again, it is waited for.
                Either::Second(Err(_)) => {}
            }
        }
        let unread = self.packet.get(self.unread.clone()).unwrap_or_default();
        let len = unread.len().min(to.len());
        to.iter_mut().zip(unread).for_each(|(to, byte)| *to = *byte);
        self.unread.start += len;
        Ok(len)
    }
}

impl<D: Driver<'static>> Write for Console<D> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if !self.listens() {
            return Ok(bytes.len());
        }
        let packet = bytes.get(..WRITTEN).unwrap_or(bytes);
        let written = with_timeout(PATIENCE, self.sender.write_packet(packet)).await;
        self.deaf = !matches!(written, Ok(Ok(())));
        Ok(packet.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
