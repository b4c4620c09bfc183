//! deaddrop on the Raspberry Pi Pico: pins, clocks and drivers. `firmware/docs/boards.md` says how to use it.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use deaddrop_cortex_m::{Retained, crash};
use deaddrop_firmware::app::{App, Memory, SOCKETS, Settings, Watchdog};
use deaddrop_firmware::board::{Board, Neighbours, Network, Wire};
use deaddrop_firmware::boot::jitter_entropy::JitterEntropy;
use deaddrop_firmware::mac::{hardware_address, other_end};
use deaddrop_firmware::signal::Indicator;
use deaddrop_usb::{Device, Identity, Runner, State, TEST_IDS};
use embassy_executor::Spawner;
use embassy_net::StackResources;
use embassy_rp::clocks::{CoreVoltage, PllConfig, RoscRng};
use embassy_rp::config::Config;
use embassy_rp::flash::{Blocking, ERASE_SIZE, Flash};
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::USB;
use embassy_rp::{bind_interrupts, usb, watchdog};
use embassy_time::Duration;
use static_cell::{ConstStaticCell, StaticCell};

mod memory_map {
    include!(concat!(env!("OUT_DIR"), "/memory_map.rs"));
}

bind_interrupts!(struct Irqs {
    USBCTRL_IRQ => usb::InterruptHandler<USB>;
});

const FLASH_BASE: u32 = 0x1000_0000;
const FLASH_SIZE: usize = 2 * 1024 * 1024;
/// Of the watchdog.
const TIMEOUT: Duration = Duration::from_secs(8);

const _: () = assert!(memory_map::SEED_LEN as usize == ERASE_SIZE);

struct StatusLed(Output<'static>);

impl Indicator for StatusLed {
    fn set(&mut self, lit: bool) {
        self.0.set_level(lit.into());
    }
}

struct HardwareWatchdog(watchdog::Watchdog);

impl Watchdog for HardwareWatchdog {
    fn feed(&mut self) {
        self.0.feed(TIMEOUT);
    }
}

static WIRE: Wire = Wire::new();

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Network<Device>) {
    runner.run().await;
}

/// Drives the USB device.
#[embassy_executor::task]
async fn cable(mut runner: Runner<usb::Driver<'static, USB>>) {
    runner.run().await;
}

/// The core at 200 MHz, which the RP2040 is rated for at 1.15 V: a handshake is all computation. The boot code reads flash
/// at half of that, and the flash is rated for 133 MHz.
fn clocks() -> Config {
    let mut config = Config::default();
    config.clocks.core_voltage = CoreVoltage::V1_15;
    if let Some(crystal) = &mut config.clocks.xosc {
        // 12 MHz by 100, by 6.
        crystal.sys_pll = Some(PllConfig { refdiv: 1, fbdiv: 100, post_div1: 3, post_div2: 2 });
    }
    config
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static USB_STATE: StaticCell<State> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();

    let p = embassy_rp::init(clocks());
    let mut watchdog = watchdog::Watchdog::new(p.WATCHDOG);
    let by_watchdog = watchdog.reset_reason() == Some(watchdog::ResetReason::TimedOut);
    watchdog.start(TIMEOUT);
    let (led, watchdog) = (StatusLed(Output::new(p.PIN_25, Level::Low)), HardwareWatchdog(watchdog));
    // The console is on the same cable with the network, and its device has the chip's number.
    let mut flash = Flash::<_, Blocking, FLASH_SIZE>::new_blocking(p.FLASH);
    let mut chip = [0; 8];
    let known = flash.blocking_unique_id(&mut chip).is_ok();
    let (board, host) = (hardware_address(&chip), other_end(&chip));
    let identity = Identity { ids: TEST_IDS, product: "deaddrop on Raspberry Pi Pico", chip, board, host };
    let driver = usb::Driver::new(p.USB, Irqs);
    let (console, device, runner) = deaddrop_usb::new(driver, identity, USB_STATE.init_with(State::new));
    if let Ok(cable) = cable(runner) {
        spawner.spawn(cable);
    }
    let mut board = Board::start(console, led, watchdog, Retained, &WIRE, by_watchdog).await;
    if !known {
        board.refuse("the flash chip has no readable unique id: use another board").await;
    }
    let mut entropy = JitterEntropy::new(|| {
        // 1.6 us, about ten periods of the ring oscillator.
        cortex_m::asm::delay(320);
        RoscRng::next_u8() & 1 == 1
    });
    let record = memory_map::RECORD - FLASH_BASE;
    let seeds = memory_map::SEEDS.map(|address| address - FLASH_BASE);
    let mut ready = board.boot(flash, record, seeds, Some(&mut entropy)).await;

    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = board.network_of(Neighbours::OneHost, device, &mut ready, resources);
    if let Ok(network) = network(runner) {
        spawner.spawn(network);
    }
    let settings = Settings { auto: ready.mode.auto, ..Settings::default() };
    let mut app = App::new(stack, MEMORY.take(), ready.prs, ready.rng, settings);
    board.run(&mut app).await;
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crash::panicked(info)
}
