//! deaddrop on the Raspberry Pi Pico W: pins, clocks and drivers. `firmware/docs/boards.md` says how to use it.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use deaddrop_cortex_m::{Retained, crash};
use deaddrop_cyw43::{Device, Guarded, Lamp, Radio, Runner, Shared, State};
use deaddrop_firmware::app::{App, Memory, SOCKETS, Settings, Watchdog};
use deaddrop_firmware::board::{Board, Network, Wire};
use deaddrop_firmware::boot::jitter_entropy::JitterEntropy;
use deaddrop_firmware::mailbox::Mailbox;
use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use embassy_rp::clocks::RoscRng;
use embassy_rp::flash::{Blocking, ERASE_SIZE, Flash};
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIO0, UART0};
use embassy_rp::pio::Pio;
use embassy_rp::uart::{BufferedInterruptHandler, BufferedUart};
use embassy_rp::{bind_interrupts, dma, pac, pio, uart, watchdog};
use embassy_time::Duration;
use static_cell::{ConstStaticCell, StaticCell};

mod memory_map {
    include!(concat!(env!("OUT_DIR"), "/memory_map.rs"));
}

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

const FLASH_BASE: u32 = 0x1000_0000;
const FLASH_SIZE: usize = 2 * 1024 * 1024;
/// Of the watchdog.
const TIMEOUT: Duration = Duration::from_secs(8);

const _: () = assert!(memory_map::SEED_LEN as usize == ERASE_SIZE);

struct HardwareWatchdog(watchdog::Watchdog);

impl Watchdog for HardwareWatchdog {
    fn feed(&mut self) {
        self.0.feed(TIMEOUT);
    }
}

type Bus = PioSpi<'static, PIO0, 0>;

static WIRE: Wire = Wire::new();
static SHARED: Shared = Shared::new();

/// Drives the network stack.
#[embassy_executor::task]
async fn network(mut runner: Network<Device>) {
    runner.run().await;
}

/// Drives the network chip.
#[embassy_executor::task]
async fn network_chip(runner: Runner<Output<'static>, Bus>) {
    runner.run().await;
}

/// Joins the Wi-Fi network, and lights the LED.
#[embassy_executor::task]
async fn wifi(radio: Radio, stack: Stack<'static>, mailbox: &'static Mailbox) {
    radio.run(stack, mailbox).await;
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static SENT: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static TYPED: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
    static STATE: StaticCell<State> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + 1 }>> = StaticCell::new();

    let p = embassy_rp::init(embassy_rp::config::Config::default());
    let mut watchdog = watchdog::Watchdog::new(p.WATCHDOG);
    let by_watchdog = watchdog.reset_reason() == Some(watchdog::ResetReason::TimedOut);
    watchdog.start(TIMEOUT);
    let (sent, typed) = (SENT.take(), TYPED.take());
    let console = BufferedUart::new(p.UART0, p.PIN_0, p.PIN_1, Irqs, sent, typed, uart::Config::default());
    // Without an adapter the line floats, and the driver switches its pull-up off.
    pac::PADS_BANK0.gpio(1).modify(|pad| pad.set_pue(true));
    let (led, watchdog) = (Lamp::new(&SHARED), Guarded::new(HardwareWatchdog(watchdog), &SHARED));
    let mut board = Board::start(console, led, watchdog, Retained, &WIRE, by_watchdog).await;

    let mut flash = Flash::<_, Blocking, FLASH_SIZE>::new_blocking(p.FLASH);
    let mut entropy = JitterEntropy::new(|| {
        // About ten periods of the ring oscillator.
        cortex_m::asm::delay(200);
        RoscRng::next_u8() & 1 == 1
    });
    let record = memory_map::RECORD - FLASH_BASE;
    let seeds = memory_map::SEEDS.map(|address| address - FLASH_BASE);
    let wifi_settings = deaddrop_cyw43::settings(&mut flash, record);
    let mut ready = board.boot(flash, record, seeds, Some(&mut entropy)).await;

    let (wifi_settings, files) = match (wifi_settings, deaddrop_cyw43::files()) {
        (Ok(settings), Ok(files)) => (settings, files),
        (Err(refusal), _) | (_, Err(refusal)) => board.refuse(refusal).await,
    };

    let mut pio = Pio::new(p.PIO0, Irqs);
    let (power, select) = (Output::new(p.PIN_23, Level::Low), Output::new(p.PIN_25, Level::High));
    let dma = dma::Channel::new(p.DMA_CH0, Irqs);
    let divider = DEFAULT_CLOCK_DIVIDER;
    let bus = PioSpi::new(&mut pio.common, pio.sm0, divider, pio.irq0, select, p.PIN_24, p.PIN_29, dma);
    let made =
        deaddrop_cyw43::new(STATE.init_with(State::new), power, bus, files, wifi_settings, &SHARED).await;
    let (device, mut radio, runner) = match made {
        Ok(made) => made,
        Err(refusal) => board.refuse(refusal).await,
    };
    if let Ok(chip) = network_chip(runner) {
        spawner.spawn(chip);
    }
    if let Err(refusal) = radio.set_up().await {
        board.refuse(refusal).await;
    }
    let (stack, runner) = board.network(device, &mut ready, RESOURCES.init_with(StackResources::new));
    if let Ok(network) = network(runner) {
        spawner.spawn(network);
    }
    let settings = Settings { auto: ready.mode.auto, ..Settings::default() };
    let mut app = App::new(stack, MEMORY.take(), ready.prs, ready.rng, settings);
    if let Ok(wifi) = wifi(radio, stack, app.mailbox()) {
        spawner.spawn(wifi);
    }
    board.run(&mut app).await;
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crash::panicked(info)
}
