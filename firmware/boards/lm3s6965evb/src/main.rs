//! deaddrop on TI's LM3S6965 evaluation kit: what is wired to what.
//!
//! The same image runs in QEMU's `lm3s6965evb`.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::panic::PanicInfo;

use deaddrop_firmware::boot::{Ready, SeedSlots, boot};
use deaddrop_lm3s6965::console::{Console, LastWords};
use deaddrop_lm3s6965::ethernet::{self, Ethernet};
use deaddrop_lm3s6965::flash::{self, SeedFlash};
use deaddrop_lm3s6965::{clock, emulator, executor};
use deaddrop_page::Address;
use embassy_net::{Config, Ipv4Cidr, StackResources, StaticConfigV4};
use rand_core::Rng;
use static_cell::StaticCell;

mod memory_map {
    include!(concat!(env!("OUT_DIR"), "/memory_map.rs"));
}

// The driver writes to no other flash than this, whatever memory.x says.
const _: () = assert!(memory_map::PAGE as usize == flash::PAGE);
const _: () = assert!(memory_map::SEEDS[0] as usize == flash::SLOTS);
const _: () = assert!(memory_map::SEEDS[1] as usize == flash::SLOTS + flash::PIECE);
const _: () = assert!(memory_map::SEED_LEN as usize == flash::PIECE);

/// DHCP, one socket for beacons, and connections.
const SOCKETS: usize = 8;

#[cortex_m_rt::entry]
fn main() -> ! {
    clock::start();
    Console::start();
    let mut seeds = SeedSlots::new(SeedFlash::new(), [0, memory_map::SEED_LEN]);
    match boot(flash::page(), &mut seeds, None) {
        Ok(ready) => {
            if let Ok(member) = member(ready) {
                executor::network().spawn(member);
            }
        }
        Err(refusal) => {
            // Nothing else can be done about it here.
            let _ = write!(LastWords, "{refusal}\r\n");
        }
    }
    executor::sleep()
}

/// Everything that the board does.
#[embassy_executor::task]
async fn member(mut ready: Ready) {
    static PORT: StaticCell<Ethernet> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    let address = ethernet::programmed_address().unwrap_or_else(|| made_up(&mut ready.rng));
    let port = PORT.init_with(|| Ethernet::new(address));
    port.start();
    let resources = RESOURCES.init_with(StackResources::new);
    let (_stack, mut runner) = embassy_net::new(port, config(ready.address), resources, ready.rng.next_u64());
    runner.run().await;
}

fn config(address: Address) -> Config {
    match address {
        Address::Dhcp => Config::dhcpv4(Default::default()),
        Address::Static(network) => Config::ipv4_static(StaticConfigV4 {
            address: Ipv4Cidr::new(network.address(), network.prefix()),
            gateway: network.gateway(),
            dns_servers: Default::default(),
        }),
    }
}

/// A hardware address for a part without one: of those that anyone may use, and another at each start.
fn made_up(rng: &mut impl Rng) -> [u8; 6] {
    let mut address = [0; 6];
    rng.fill_bytes(&mut address);
    let [first, ..] = &mut address;
    *first = (*first & 0xFC) | 0x02;
    address
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    let _ = LastWords.write_str("\r\npanic: starting again\r\n");
    emulator::fail();
    cortex_m::peripheral::SCB::sys_reset()
}
