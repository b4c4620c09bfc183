//! Moves frames between the chip and the queues of the stack, watches the link, and sets the chip up again
//! if need be.

use core::convert::Infallible;
use core::future::pending;

use embassy_futures::select::{Either3, select3};
use embassy_net_driver_channel as channel;
use embassy_net_driver_channel::driver::LinkState;
use embassy_time::{Duration, Instant, Ticker, Timer};
use embedded_hal::digital::OutputPin;
use embedded_hal_async::digital::Wait;
use embedded_hal_async::spi::SpiDevice;

use crate::fault::Fault;
use crate::port::{MTU, Port, Received};

/// How often link, chip and receive buffer are looked at, whatever the interrupt line says.
const TICK: Duration = Duration::from_millis(100);
/// How long the reset line is low: at least 0.5 ms.
const RESET: Duration = Duration::from_millis(1);
/// Until a chip is ready after its reset: 1 ms (W5500), 60.3 ms (W6100).
const START: Duration = Duration::from_millis(100);
/// Between two tries to set up a chip that does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How often within [`RECENT`] the socket is opened anew for a fault. After that the chip is reset.
const REOPENINGS: u8 = 2;
const RECENT: Duration = Duration::from_secs(10);

/// The driver's task: [`run`](Self::run) must be polled all the time.
pub struct Runner<'d, S, I, R> {
    port: Port<S>,
    interrupt: I,
    reset: R,
    hardware_address: [u8; 6],
    channel: channel::Runner<'d, MTU>,
}

impl<'d, S: SpiDevice, I: Wait, R: OutputPin> Runner<'d, S, I, R> {
    pub(crate) fn new(
        port: Port<S>,
        interrupt: I,
        reset: R,
        hardware_address: [u8; 6],
        channel: channel::Runner<'d, MTU>,
    ) -> Self {
        Self { port, interrupt, reset, hardware_address, channel }
    }

    /// Runs the driver. Spawn it as a task of its own: the stack wakes it with every frame.
    pub async fn run(self) -> ! {
        let Self { mut port, interrupt, mut reset, hardware_address, channel } = self;
        let (link, received, to_send) = channel.split();
        let mut frames = Frames { interrupt, link, received, to_send, ticker: Ticker::every(TICK), up: None };
        let (mut reopenings, mut since) = (0, Instant::now());
        loop {
            let Err(fault) = frames.carry(&mut port).await;
            if since.elapsed() > RECENT {
                (reopenings, since) = (0, Instant::now());
            }
            reopenings += 1;
            let reopen = matches!(fault, Fault::OutOfStep | Fault::Stuck) && reopenings <= REOPENINGS;
            if reopen && port.open().await.is_ok() {
                continue;
            }
            frames.note_link(false);
            while start(&mut port, &mut reset, hardware_address).await.is_err() {
                Timer::after(RETRY).await;
            }
            reopenings = 0;
            frames.ticker.reset();
        }
    }
}

/// Resets the chip by its reset line, and sets it up.
pub(crate) async fn start<S: SpiDevice, R: OutputPin>(
    port: &mut Port<S>,
    reset: &mut R,
    hardware_address: [u8; 6],
) -> Result<(), Fault> {
    // A pin that fails to move is found out by the chip, which is then not as after a reset, or not at all.
    let _ = reset.set_low();
    Timer::after(RESET).await;
    let _ = reset.set_high();
    Timer::after(START).await;
    port.set_up(hardware_address).await
}

/// All of a runner but the chip.
struct Frames<'d, I> {
    interrupt: I,
    link: channel::StateRunner<'d>,
    received: channel::RxRunner<'d, MTU>,
    to_send: channel::TxRunner<'d, MTU>,
    ticker: Ticker,
    /// Whether there is a link, once it is known.
    up: Option<bool>,
}

/// Why [`Frames::carry`] looks at the chip.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The interrupt line is low.
    Line,
    Tick,
    /// The stack has a frame to send, or has taken one that it was late for.
    Stack,
}

impl<I: Wait> Frames<'_, I> {
    /// Carries frames until something is wrong.
    async fn carry<S: SpiDevice>(&mut self, port: &mut Port<S>) -> Result<Infallible, Fault> {
        // Frames may wait in the chip.
        let mut more = true;
        // A line that is low without a reason is left alone until the next tick, or it would keep the CPU
        // busy.
        let mut trusted = true;
        loop {
            let cause = self.cause(more, trusted).await;
            let mut explained = true;
            match cause {
                Cause::Stack => {}
                Cause::Line => {
                    explained = port.acknowledge().await?;
                    more = true;
                }
                Cause::Tick => {
                    let up = port.link().await?;
                    self.note_link(up);
                    port.acknowledge().await?;
                    (more, trusted) = (true, true);
                }
            }
            // In turns, so that neither direction waits for the other.
            loop {
                let sent = self.send_one(port).await?;
                let taken = more && self.take_one(port, &mut more).await?;
                explained |= taken;
                if !sent && !taken {
                    break;
                }
            }
            trusted &= explained;
        }
    }

    async fn cause(&mut self, more: bool, trusted: bool) -> Cause {
        let interrupt = &mut self.interrupt;
        let received = &mut self.received;
        let chip = async {
            if more {
                // The queue is full. The chip keeps what it has until the stack has taken a frame.
                received.rx_buf().await;
                return Cause::Stack;
            }
            if !trusted || interrupt.wait_for_low().await.is_err() {
                pending::<()>().await;
            }
            Cause::Line
        };
        match select3(chip, self.to_send.tx_buf(), self.ticker.next()).await {
            Either3::First(cause) => cause,
            Either3::Second(_) => Cause::Stack,
            Either3::Third(()) => Cause::Tick,
        }
    }

    /// Sends a frame if there is one. Without a link it is dropped: the chip would keep it, and then send
    /// what is old.
    async fn send_one<S: SpiDevice>(&mut self, port: &mut Port<S>) -> Result<bool, Fault> {
        let Some(frame) = self.to_send.try_tx_buf() else { return Ok(false) };
        let sent = if self.up == Some(true) { port.send(frame).await } else { Ok(()) };
        self.to_send.tx_done();
        sent.map(|()| true)
    }

    /// Takes a frame from the chip if the queue has space. `more` is false once there is none.
    async fn take_one<S: SpiDevice>(&mut self, port: &mut Port<S>, more: &mut bool) -> Result<bool, Fault> {
        let Some(frame) = self.received.try_rx_buf().and_then(|frame| frame.first_chunk_mut()) else {
            return Ok(false);
        };
        let received = port.receive(frame).await?;
        if let Received::Frame(length) = received {
            self.received.rx_done(length);
        }
        *more = received != Received::Nothing;
        Ok(*more)
    }

    /// Tells the stack of a change.
    fn note_link(&mut self, up: bool) {
        if self.up != Some(up) {
            self.up = Some(up);
            self.link.set_link_state(if up { LinkState::Up } else { LinkState::Down });
        }
    }
}
