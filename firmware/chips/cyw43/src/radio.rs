//! The radio: its start, and the task that keeps it in its network.

use core::pin::pin;
use core::sync::atomic::Ordering;
use core::time::Duration;

use cyw43::{Control, JoinAuth, JoinError, JoinOptions, PowerManagementMode, SpiBus, SpiBusCyw43};
use deaddrop_firmware::mailbox::{Event, Mailbox};
use deaddrop_provisioning::{RadioFiles, WifiKey, WifiSettings};
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Instant, Timer, with_timeout};
use embedded_hal::digital::OutputPin;

use crate::bus::Bus;
use crate::files::aligned;
use crate::join::{Action, Failure, Input, JOIN_WITHIN, Joining, LINK_WITHIN};
use crate::lamp::Shared;
use crate::refusal::Refusal;

/// The stack's side of the driver.
pub type Device = cyw43::NetDriver<'static>;

/// The queues between driver and stack.
pub type State = cyw43::State;

/// What drives the chip, in a task of its own.
pub type Runner<P, S> = cyw43::Runner<'static, SpiBus<P, Bus<S>>>;

/// For each of the two steps of the start: the two together are shorter than a watchdog's time. Each takes about a second.
const STEP_WITHIN: embassy_time::Duration = embassy_time::Duration::from_secs(3);
/// For one command. The radio answers within milliseconds.
const ANSWER_WITHIN: embassy_time::Duration = embassy_time::Duration::from_secs(2);
/// The radio's pin with the LED.
const LED: u8 = 0;

const COUNTRY_UNKNOWN: &str =
    "The radio does not know the country of its settings, and keeps to what is allowed nearly everywhere";

/// The radio, which joins the network and stays in it.
pub struct Radio {
    control: Control<'static>,
    clm: &'static [u8],
    settings: WifiSettings,
    shared: &'static Shared,
}

/// Starts the radio with its firmware. The device is for the stack, once [`Radio::set_up`] is done; the runner must run
/// beside all that.
pub async fn new<P: OutputPin, S: SpiBusCyw43>(
    state: &'static mut State,
    power: P,
    spi: S,
    files: RadioFiles<'static>,
    settings: WifiSettings,
    shared: &'static Shared,
) -> Result<(Device, Radio, Runner<P, S>), Refusal> {
    let (firmware, nvram) = (aligned(files.firmware)?, aligned(files.nvram)?);
    let spi = Bus::new(spi, settings.country.letters(), shared);
    let started = with_timeout(STEP_WITHIN, cyw43::new(state, power, spi, firmware, nvram)).await;
    let (device, control, runner) = started.map_err(|_| Refusal::NoAnswer)?;
    Ok((device, Radio { control, clm: files.clm, settings, shared }, runner))
}

impl Radio {
    /// Tells the radio its rules, and has it listen at all times.
    ///
    /// A radio that saves power sleeps between the beacons of its access point and may miss broadcasts, which nobody
    /// sends again: the beacons by which drops are found are broadcasts.
    pub async fn set_up(&mut self) -> Result<(), Refusal> {
        let steps = async {
            self.control.init(self.clm).await;
            self.control.set_power_management(PowerManagementMode::None).await;
        };
        with_timeout(STEP_WITHIN, steps).await.map_err(|_| Refusal::NoAnswer)
    }

    /// Joins the network, and joins it again when it is lost, for as long as the board is on; lights the LED meanwhile.
    pub async fn run(mut self, stack: Stack<'static>, mailbox: &'static Mailbox) -> ! {
        let mut joining = Joining::new();
        let tell = |line: Option<&'static str>| line.map_or((), |line| mailbox.post(Event::Notice(line)));
        tell(self.shared.country_unknown.load(Ordering::Relaxed).then_some(COUNTRY_UNKNOWN));
        loop {
            match joining.action(now()) {
                Action::Join => {
                    let ended = self.join(stack).await;
                    tell(joining.handle(ended, now()));
                }
                Action::WaitUntil(due) => {
                    let due = Timer::after(due.saturating_sub(now()).try_into().unwrap_or(ANSWER_WITHIN));
                    self.light_until(due).await;
                }
                Action::Watch => {
                    self.light_until(stack.wait_link_down()).await;
                    tell(joining.handle(Input::Lost, now()));
                }
            }
        }
    }

    /// One attempt.
    async fn join(&mut self, stack: Stack<'static>) -> Input {
        let options = match &self.settings.key {
            WifiKey::Open => JoinOptions::new_open(),
            WifiKey::Passphrase(passphrase) => JoinOptions::new(passphrase.expose()),
            WifiKey::Psk(psk) => {
                let mut options = JoinOptions::new(psk.expose());
                options.auth = JoinAuth::Wpa2;
                options.passphrase_is_prehashed = true;
                options
            }
        };
        let joined = self.control.join(self.settings.ssid.as_str(), options);
        Input::Failed(match with_timeout(time(JOIN_WITHIN), joined).await {
            Ok(Ok(())) => match with_timeout(time(LINK_WITHIN), stack.wait_link_up()).await {
                Ok(()) => return Input::Joined,
                Err(_) => Failure::NoAnswer,
            },
            Ok(Err(JoinError::NetworkNotFound)) => Failure::NotFound,
            Ok(Err(JoinError::AuthenticationFailure)) => Failure::KeyRefused,
            Ok(Err(JoinError::JoinFailure(_))) => Failure::Refused,
            Err(_) => Failure::NoAnswer,
        })
    }

    /// Lights the LED as it is to be, until `end` has come.
    async fn light_until(&mut self, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        while let Either::Second(lit) = select(&mut end, self.shared.lit.wait()).await {
            // The one command that always has an answer: without it the radio is not well.
            if with_timeout(ANSWER_WITHIN, self.control.gpio_set(LED, lit)).await.is_err() {
                self.shared.deaf.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn now() -> Duration {
    Instant::now().duration_since(Instant::MIN).into()
}

fn time(of: Duration) -> embassy_time::Duration {
    of.try_into().unwrap_or(ANSWER_WITHIN)
}
