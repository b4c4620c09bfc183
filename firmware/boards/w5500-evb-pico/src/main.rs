//! deaddrop on the WIZnet W5500-EVB-Pico: pins, clocks and drivers. `firmware/docs/boards.md` says how to use it.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use deaddrop_cortex_m::{Retained, crash};
use deaddrop_firmware::app::{App, Memory, SOCKETS, Settings, Watchdog};
use deaddrop_firmware::board::{Board, Network, Wire};
use deaddrop_firmware::boot::jitter_entropy::JitterEntropy;
use deaddrop_firmware::mac::hardware_address;
use deaddrop_firmware::signal::Indicator;
use deaddrop_wiznet::{Device, Runner, State, W5500};
use embassy_executor::Spawner;
use embassy_net::StackResources;
use embassy_rp::clocks::{CoreVoltage, PllConfig, RoscRng};
use embassy_rp::config::Config;
use embassy_rp::flash::{Blocking, ERASE_SIZE, Flash};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, SPI0, UART0};
use embassy_rp::spi::Spi;
use embassy_rp::uart::{BufferedInterruptHandler, BufferedUart};
use embassy_rp::{bind_interrupts, dma, pac, spi, uart, watchdog};
use embassy_time::{Delay, Duration};
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::{ConstStaticCell, StaticCell};

mod memory_map {
    include!(concat!(env!("OUT_DIR"), "/memory_map.rs"));
}

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

const FLASH_BASE: u32 = 0x1000_0000;
const FLASH_SIZE: usize = 2 * 1024 * 1024;
/// Of the watchdog.
const TIMEOUT: Duration = Duration::from_secs(8);

const _: () = assert!(memory_map::SEED_LEN as usize == ERASE_SIZE);

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

type Bus = ExclusiveDevice<Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;

static WIRE: Wire = Wire::new();

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Network<Device<'static>>) {
    runner.run().await;
}

/// Drives the network chip.
#[embassy_executor::task]
async fn network_chip(runner: Runner<'static, Bus, Input<'static>, Output<'static>>) {
    runner.run().await;
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static SENT: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static TYPED: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static STATE: ConstStaticCell<State<2, 2>> = ConstStaticCell::new(State::new());
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();

    let p = embassy_rp::init(clocks());
    let mut watchdog = watchdog::Watchdog::new(p.WATCHDOG);
    let by_watchdog = watchdog.reset_reason() == Some(watchdog::ResetReason::TimedOut);
    watchdog.start(TIMEOUT);
    let led = Output::new(p.PIN_25, Level::Low);
    let (sent, typed) = (SENT.take(), TYPED.take());
    let console = BufferedUart::new(p.UART0, p.PIN_0, p.PIN_1, Irqs, sent, typed, uart::Config::default());
    // Without an adapter the line floats, and the driver switches its pull-up off.
    pac::PADS_BANK0.gpio(1).modify(|pad| pad.set_pue(true));
    let (led, watchdog) = (StatusLed(led), HardwareWatchdog(watchdog));
    let mut board = Board::start(console, led, watchdog, Retained, &WIRE, by_watchdog).await;

    let mut flash = Flash::<_, Blocking, FLASH_SIZE>::new_blocking(p.FLASH);
    let mut id = [0; 8];
    if flash.blocking_unique_id(&mut id).is_err() {
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

    let mut wires = spi::Config::default();
    // A sixth of the core's clock. The chip is guaranteed for 33.3 MHz.
    wires.frequency = 33_333_334;
    let wires = Spi::new(p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, p.DMA_CH0, p.DMA_CH1, Irqs, wires);
    let Ok(chip) = ExclusiveDevice::new(wires, Output::new(p.PIN_17, Level::High), Delay);
    let (interrupt, reset) = (Input::new(p.PIN_21, Pull::Up), Output::new(p.PIN_20, Level::High));
    let address = hardware_address(&id);
    let made = deaddrop_wiznet::new(&W5500, address, STATE.take(), chip, interrupt, reset).await;
    let Ok((device, runner)) = made else {
        board.refuse("the W5500 does not answer: switch off and on, or use another board").await
    };
    if let Ok(chip) = network_chip(runner) {
        spawner.spawn(chip);
    }
    let (stack, runner) = board.network(device, &mut ready, RESOURCES.init_with(StackResources::new));
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
