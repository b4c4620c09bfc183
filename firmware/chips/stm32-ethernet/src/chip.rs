//! The port on a real chip: embassy-stm32's setup, then our rings and our PHY.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_stm32::eth::{Ethernet, Instance, Phy as PhyDriver, StationManagement};
use embassy_stm32::pac::ETH;
use embassy_time::{Duration, Instant, Timer, block_for};

use crate::link::Mode;
use crate::phy::{self, Mac, Management};
use crate::rings::{List, MTU, Memory, Received, Rings, Tails, ToSend};

/// How often the PHY is asked for the link.
const LOOK: Duration = Duration::from_millis(250);
/// Looks at the DMA until it has stopped: it ends the frame that it is at, which takes 1.2 ms at 10 Mbit/s.
const STOP_LOOKS: usize = 200;

/// The PHY as embassy's driver has it.
pub struct Phy<S> {
    phy: phy::Phy<Lines<S>, Registers>,
    next: Instant,
}

impl<S: StationManagement> Phy<S> {
    /// The PHY on these two lines.
    pub fn new(management: S) -> Self {
        Self { phy: phy::Phy::new(Lines(management), Registers), next: Instant::MIN }
    }
}

impl<S: StationManagement> PhyDriver for Phy<S> {
    fn phy_reset(&mut self) {
        self.phy.reset(|| block_for(Duration::from_millis(10)));
    }

    fn phy_init(&mut self) {
        self.phy.negotiate();
    }

    fn poll_link(&mut self, context: &mut Context<'_>) -> bool {
        if Instant::now() >= self.next {
            self.next = Instant::now() + LOOK;
            self.phy.look();
        }
        wake_at(self.next, context);
        self.phy.is_up()
    }
}

struct Lines<S>(S);

impl<S: StationManagement> Management for Lines<S> {
    fn read(&mut self, address: u8, register: u8) -> u16 {
        self.0.smi_read(address, register)
    }

    fn write(&mut self, address: u8, register: u8, value: u16) {
        self.0.smi_write(address, register, value);
    }
}

/// Has the task polled at this time.
fn wake_at(at: Instant, context: &mut Context<'_>) {
    // The timer queue keeps the time when the future is gone.
    let _ = core::pin::pin!(Timer::at(at)).poll(context);
}

/// The MAC's registers.
struct Registers;

impl Mac for Registers {
    /// Sets speed and duplex if they are others, with the MAC off meanwhile.
    fn set_mode(&mut self, mode: Mode) {
        let control = ETH.ethernet_mac().maccr();
        let now = control.read();
        if (now.fes(), now.dm()) == (mode.fast, mode.full_duplex) {
            return;
        }
        control.modify(|control| {
            control.set_re(false);
            control.set_te(false);
        });
        control.modify(|control| {
            control.set_fes(mode.fast);
            control.set_dm(mode.full_duplex);
        });
        control.modify(|control| {
            control.set_re(true);
            control.set_te(true);
        });
    }
}

/// The DMA's tail pointers.
struct Dma;

impl Dma {
    /// Stops it, and starts it on these lists.
    fn restart(&mut self, (receive, transmit): (List, List)) {
        let dma = ETH.ethernet_dma();
        dma.dmactx_cr().modify(|control| control.set_st(false));
        dma.dmacrx_cr().modify(|control| control.set_sr(false));
        for _ in 0..STOP_LOOKS {
            let state = dma.dmadsr().read();
            if state.rps0() == 0 && state.tps0() == 0 {
                break;
            }
            block_for(Duration::from_micros(10));
        }
        dma.dmacrx_dlar().write(|list| list.0 = receive.first);
        dma.dmacrx_rlr().write(|length| length.set_rdrl(receive.last));
        dma.dmactx_dlar().write(|list| list.0 = transmit.first);
        dma.dmactx_rlr().write(|length| length.set_tdrl(transmit.last));
        cortex_m::asm::dsb();
        dma.dmacrx_dtpr().write(|tail| tail.0 = receive.tail);
        dma.dmactx_dtpr().write(|tail| tail.0 = transmit.tail);
        dma.dmactx_cr().modify(|control| control.set_st(true));
        dma.dmacrx_cr().modify(|control| control.set_sr(true));
    }
}

impl Tails for Dma {
    fn set_receive_tail(&mut self, address: u32) {
        // A DMB would order the writes before it for this core, and not wait until the DMA can see them.
        cortex_m::asm::dsb();
        ETH.ethernet_dma().dmacrx_dtpr().write(|tail| tail.0 = address);
    }

    fn set_transmit_tail(&mut self, address: u32) {
        cortex_m::asm::dsb();
        ETH.ethernet_dma().dmactx_dtpr().write(|tail| tail.0 = address);
    }
}

/// The port: a network device for the stack.
pub struct Port<'d, T: Instance, P: PhyDriver> {
    /// Keeps pins, clocks and MAC as they are. Its own rings are idle.
    ethernet: Ethernet<'d, T, P>,
    rings: Rings<'d>,
    dma: Dma,
}

impl<'d, T: Instance, P: PhyDriver> Port<'d, T, P> {
    /// Takes the DMA over from embassy's driver, whose queue is not used from here on.
    pub fn new<const RX: usize, const TX: usize>(
        ethernet: Ethernet<'d, T, P>,
        memory: &'d mut Memory<RX, TX>,
    ) -> Self {
        let mut port = Self { ethernet, rings: memory.rings(), dma: Dma };
        port.dma.restart(port.rings.begin());
        port
    }

    /// Has the task polled after the next interrupt of the port.
    fn register(&mut self, context: &mut Context<'_>) {
        // The interrupt's waker is embassy's, and this is the way to it. The token does nothing unless it
        // is consumed.
        let _ = self.ethernet.transmit(context);
    }
}

impl<T: Instance, P: PhyDriver> Driver for Port<'_, T, P> {
    type RxToken<'a>
        = Receiving<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Sending<'a>
    where
        Self: 'a;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Receiving<'_>, Sending<'_>)> {
        self.register(context);
        if !self.rings.can_send() || !self.rings.has_received(&mut self.dma) {
            return None;
        }
        let (received, to_send) = self.rings.both(&mut self.dma);
        Some((Receiving(received), Sending(to_send)))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Sending<'_>> {
        self.register(context);
        self.rings.can_send().then(|| Sending(self.rings.to_send(&mut self.dma)))
    }

    fn link_state(&mut self, context: &mut Context<'_>) -> LinkState {
        self.ethernet.link_state(context)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities.max_burst_size = Some(self.rings.burst());
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.ethernet.hardware_address()
    }
}

/// A frame that has come.
pub struct Receiving<'a>(Received<'a>);

impl RxToken for Receiving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        self.0.consume(f)
    }
}

/// The place for a frame to send.
pub struct Sending<'a>(ToSend<'a, Dma>);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.0.consume(length, f)
    }
}
