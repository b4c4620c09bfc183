//! deaddrop on the ST Nucleo-H563ZI: pins, clocks and drivers. `firmware/docs/boards.md` says how to use it.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use deaddrop_cortex_m::{Retained, crash};
use deaddrop_firmware::app::{App, Memory, SOCKETS, Settings, Watchdog};
use deaddrop_firmware::board::{Board, Network, Wire};
use deaddrop_firmware::boot::Preloaded;
use deaddrop_firmware::mac::hardware_address;
use deaddrop_firmware::signal::Indicator;
use deaddrop_stm32_ethernet::{Phy, Port, rings};
use embassy_executor::Spawner;
use embassy_net::StackResources;
use embassy_stm32::eth::{self, Ethernet, PacketQueue, Sma};
use embassy_stm32::flash::{FLASH_BASE, Flash, MAX_ERASE_SIZE};
use embassy_stm32::gpio::{Level, Output, Pull, Speed};
use embassy_stm32::peripherals::{ETH, ETH_SMA, IWDG, RNG, USART3};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, BufferedUart};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Config, bind_interrupts, pac, rcc, rng, uid};
use embassy_time::{Duration, with_timeout};
use static_cell::{ConstStaticCell, StaticCell};

mod memory_map {
    include!(concat!(env!("OUT_DIR"), "/memory_map.rs"));
}

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
    USART3 => usart::BufferedInterruptHandler<USART3>;
});

const FLASH_START: u32 = 0x0800_0000;
const _: () = assert!(FLASH_START as usize == FLASH_BASE);
/// Of the watchdog.
const TIMEOUT_US: u32 = 8_000_000;
/// With the generator. Shorter than the watchdog's.
const PATIENCE: Duration = Duration::from_secs(4);

// Each seed slot is one sector.
const _: () = assert!(memory_map::SEED_LEN as usize == MAX_ERASE_SIZE);

/// The core at 250 MHz, from the debugger's 8 MHz, and 48 MHz for the generator.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.hsi = None;
    config.rcc.hsi48 = Some(Default::default());
    config.rcc.hse = Some(rcc::Hse { freq: Hertz(8_000_000), mode: rcc::HseMode::BypassDigital });
    config.rcc.pll1 = Some(rcc::Pll {
        source: rcc::PllSource::HSE,
        prediv: rcc::PllPreDiv::DIV2,
        mul: rcc::PllMul::MUL125,
        divp: Some(rcc::PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.voltage_scale = rcc::VoltageScale::Scale0;
    config
}

struct StatusLed(Output<'static>);

impl Indicator for StatusLed {
    fn set(&mut self, lit: bool) {
        self.0.set_level(lit.into());
    }
}

struct HardwareWatchdog(IndependentWatchdog<'static, IWDG>);

impl Watchdog for HardwareWatchdog {
    fn feed(&mut self) {
        self.0.pet();
    }
}

/// Whether the last reset was the watchdog's. Forgets the cause, which otherwise stays until the power goes.
fn reset_by_watchdog() -> bool {
    let cause = pac::RCC.rsr().read();
    pac::RCC.rsr().modify(|cause| cause.set_rmvf(true));
    cause.iwdgrstf()
}

type Device = Port<'static, ETH, Phy<Sma<'static, ETH_SMA>>>;

static WIRE: Wire = Wire::new();

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Network<Device>) {
    runner.run().await;
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static SENT: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static TYPED: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    // Of embassy's driver, which only sets the port up.
    static QUEUE: ConstStaticCell<PacketQueue<1, 2>> = ConstStaticCell::new(PacketQueue::new());
    static FRAMES: ConstStaticCell<rings::Memory<8, 4>> = ConstStaticCell::new(rings::Memory::new());
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();

    let p = embassy_stm32::init(clocks());
    let by_watchdog = reset_by_watchdog();
    let mut watchdog = IndependentWatchdog::new(p.IWDG, TIMEOUT_US);
    watchdog.unleash();
    let led = Output::new(p.PB0, Level::Low, Speed::Low);
    let (sent, typed) = (SENT.take(), TYPED.take());
    let mut settings = usart::Config::default();
    // Without an adapter the line floats.
    settings.rx_pull = Pull::Up;
    let Ok(console) = BufferedUart::new(p.USART3, p.PD9, p.PD8, sent, typed, Irqs, settings) else {
        // Unreachable: every clock above divides to 115,200 baud.
        return;
    };
    let (led, watchdog) = (StatusLed(led), HardwareWatchdog(watchdog));
    let mut board = Board::start(console, led, watchdog, Retained, &WIRE, by_watchdog).await;

    let mut rng = rng::Rng::new(p.RNG, Irqs);
    let mut entropy =
        Preloaded::by(async |to| with_timeout(PATIENCE, rng.async_fill_bytes(to)).await.ok()?.ok()).await;
    let flash = Flash::new_blocking(p.FLASH);
    let seeds = memory_map::SEEDS.map(|address| address - FLASH_START);
    let mut ready = board.boot(flash, memory_map::RECORD - FLASH_START, seeds, Some(&mut entropy)).await;

    let address = hardware_address(&uid::uid());
    // From here on nothing reads the chip's number, which must not be read through the cache, nor flash
    // that changes.
    pac::ICACHE.cr().modify(|cache| cache.set_en(true));
    let phy = Phy::new(Sma::new(p.ETH_SMA, p.PA2, p.PC1));
    let ethernet = Ethernet::new_with_phy(
        QUEUE.take(),
        p.ETH,
        Irqs,
        p.PA1,
        p.PA7,
        p.PC4,
        p.PC5,
        p.PG13,
        p.PB15,
        p.PG11,
        address,
        phy,
    );
    let device = Port::new(ethernet, FRAMES.take());
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
