//! The network stack on a driver, with an address of its own choice where nobody gives one.

use core::future::poll_fn;
use core::net::Ipv4Addr;
use core::pin::pin;
use core::task::Poll;

use deaddrop_provisioning::Address;
use embassy_net::{Config, Runner, Stack, StackResources};
use embassy_net_driver::{Driver, HardwareAddress};
use embassy_time::Duration;

use super::wire::{Addressed, Wire};
use crate::addressing;
use crate::addressing::link_local::LinkLocal;

/// Three probes after this, the stack has asked for a server twice: it does so at once, and after 10 s.
const DHCP_PATIENCE: Duration = Duration::from_secs(6);

/// Whom the board expects at the other end of its cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// A LAN: DHCP is the rule, and a link-local address the exception.
    Lan,
    /// One host, as over USB: the other way round.
    OneHost,
}

/// A network stack to be spawned as a task of its own.
pub struct Network<D: Driver> {
    runner: Runner<'static, Addressed<D>>,
    stack: Stack<'static>,
    wire: &'static Wire,
    address: Address,
    mac: [u8; 6],
    /// The link-local address that the stack has; unspecified if it has another.
    chosen: Ipv4Addr,
}

impl<D: Driver> Network<D> {
    /// A stack on `driver`.
    pub fn new<const SOCKETS: usize>(
        driver: D,
        wire: &'static Wire,
        address: Address,
        neighbours: Neighbours,
        resources: &'static mut StackResources<SOCKETS>,
        seed: u64,
    ) -> (Stack<'static>, Self) {
        let mac = match driver.hardware_address() {
            HardwareAddress::Ethernet(mac) => mac,
            _ => [0; 6],
        };
        let patience = if neighbours == Neighbours::Lan { DHCP_PATIENCE } else { Duration::MIN };
        let driver = Addressed::new(driver, wire, LinkLocal::new(mac, patience));
        let mut config = Config::default();
        config.ipv4 = addressing::config(address, mac);
        let (stack, runner) = embassy_net::new(driver, config, resources, seed);
        (stack, Self { runner, stack, wire, address, mac, chosen: Ipv4Addr::UNSPECIFIED })
    }

    /// Drives the stack for as long as the board is on.
    pub async fn run(&mut self) -> ! {
        poll_fn(|context| {
            // Keeps nothing between two polls.
            let _ = pin!(self.runner.run()).poll(context);
            let chosen = self.wire.chosen();
            if chosen != self.chosen {
                self.chosen = chosen;
                self.stack.set_config_v4(if chosen.is_unspecified() {
                    addressing::config(self.address, self.mac)
                } else {
                    addressing::link_local(chosen)
                });
            }
            let current =
                self.stack.config_v4().map_or(Ipv4Addr::UNSPECIFIED, |config| config.address.address());
            if self.wire.set_current(current) {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }
}
