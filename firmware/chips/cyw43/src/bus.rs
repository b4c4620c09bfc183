//! The bus between driver and radio, on which packets are looked at as [`packet`](crate::packet) says.

use core::sync::atomic::Ordering;

use cyw43::SpiBusCyw43;

use crate::lamp::Shared;
use crate::packet::{self, Checked};

/// A bus whose packets are looked at.
pub struct Bus<S> {
    spi: S,
    country: [u8; 2],
    /// The number of the command that set the country.
    number: Option<u16>,
    shared: &'static Shared,
}

impl<S> Bus<S> {
    /// Over `spi`, with the country of these letters in the place of the driver's.
    pub(crate) const fn new(spi: S, country: [u8; 2], shared: &'static Shared) -> Self {
        Self { spi, country, number: None, shared }
    }
}

impl<S: SpiBusCyw43> SpiBusCyw43 for Bus<S> {
    async fn cmd_write(&mut self, write: &[u32]) -> u32 {
        match packet::with_country(write, self.country) {
            Some((packet, number)) => {
                self.number = Some(number);
                self.spi.cmd_write(&packet).await
            }
            None => self.spi.cmd_write(write).await,
        }
    }

    async fn cmd_read(&mut self, write: u32, read: &mut [u32]) -> u32 {
        let status = self.spi.cmd_read(write, read).await;
        if let Some(length) = packet::asked(write)
            && packet::check(read, length, self.number) == Checked::CountryUnknown
        {
            self.shared.country_unknown.store(true, Ordering::Relaxed);
        }
        status
    }

    async fn wait_for_event(&mut self) {
        self.spi.wait_for_event().await;
    }
}
