//! An embassy firmware that exists already, here one that echoes on a port of its own, takes part in a room as well.
//!
//! Both use one network stack. What is new for the firmware: room for more sockets, one static, and one future to run.
//! Its stack's `Runner::run` stays in a task of its own, without this future: every use of a socket wakes it, so polled by
//! one task they would never sleep.
#![no_std]

use deaddrop_firmware::app::{App, Indicator, Memory, SOCKETS, Settings, Watchdog};
use deaddrop_firmware::boot::{BootError, Ready, SeedStore, boot};
use embassy_futures::select::select;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Stack, StackResources};
use embedded_io_async::{Read, Write};
use static_cell::{ConstStaticCell, StaticCell};

/// Hand this to `embassy_net::new`: deaddrop's sockets, DHCP's, and the firmware's own.
pub static RESOURCES: StaticCell<StackResources<{ SOCKETS + 2 }>> = StaticCell::new();
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

struct Lamp<F>(F);

impl<F: FnMut(bool)> Indicator for Lamp<F> {
    fn set(&mut self, lit: bool) {
        self.0(lit);
    }
}

/// What the firmware's task runs, once, from now on. Comes back at once if the board must not talk; print why.
pub async fn run(
    stack: Stack<'static>,
    record: &[u8],
    seeds: &mut impl SeedStore,
    serial: impl Read + Write,
    light: impl FnMut(bool),
    watchdog: impl Watchdog,
) -> Result<(), BootError> {
    let Ready { prs, rng, mode, .. } = boot(record, seeds, None)?;
    let settings = Settings { auto: mode.auto, ..Settings::default() };
    let mut app = App::new(stack, MEMORY.take(), prs, rng, settings);
    select(app.run(serial, Lamp(light), watchdog), echo(stack)).await;
    Ok(())
}

/// What the firmware did before.
async fn echo(stack: Stack<'static>) {
    let (mut received, mut sent, mut bytes) = ([0; 256], [0; 256], [0; 64]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
        let _ = socket.accept(7).await;
        while let Ok(count @ 1..) = socket.read(&mut bytes).await {
            let _ = socket.write_all(bytes.get(..count).unwrap_or_default()).await;
        }
    }
}
