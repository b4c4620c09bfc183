//! The driver over a model of its chip, without a stack.

#[path = "../../../../tests/lan/clock.rs"]
pub(crate) mod clock;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use deaddrop_wiznet::{Chip, Device, Fault, State, W5500, W6100};
use deaddrop_wiznet_model::{Kind, Model};
use embassy_net_driver::{Driver, LinkState, RxToken, TxToken};

/// The hardware address of the port.
pub(crate) const OWN: [u8; 6] = [2, 0, 0, 0, 0, 7];
/// Of nobody here.
pub(crate) const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 8];
pub(crate) const ALL: [u8; 6] = [0xFF; 6];

/// A frame of this many bytes, numbered.
pub(crate) fn frame(to: [u8; 6], number: u16, len: usize) -> Vec<u8> {
    let mut frame = vec![0; len];
    frame[..6].copy_from_slice(&to);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame[14..16].copy_from_slice(&number.to_be_bytes());
    frame[16..].iter_mut().zip(0_usize..).for_each(|(byte, n)| *byte = u8::try_from(n % 251).unwrap());
    frame
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Flag>,
}

impl<T> Task<T> {
    fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self { future: Box::pin(future), woken: Arc::new(Flag(AtomicBool::new(true))) }
    }

    /// Polls as often as it is woken, without time passing.
    fn turn(&mut self) -> Option<T> {
        for _ in 0..1_000 {
            if !self.woken.0.swap(false, Ordering::Relaxed) {
                return None;
            }
            let waker = Waker::from(self.woken.clone());
            if let Poll::Ready(done) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(done);
            }
        }
        panic!("the driver wakes itself for ever at {:?}", clock::now());
    }
}

fn chip(kind: Kind) -> &'static Chip {
    match kind {
        Kind::W5500 => &W5500,
        Kind::W6100 => &W6100,
    }
}

/// Sets the driver up, and says how long that took.
type SetUp = (Device<'static>, Pin<Box<dyn Future<Output = std::convert::Infallible>>>);

pub(crate) fn set_up(kind: Kind, model: &Model) -> (Result<SetUp, Fault>, Duration) {
    let state: &'static mut State<2, 2> = Box::leak(Box::new(State::new()));
    let (bus, line, reset) = (model.bus(), model.line(), model.reset_pin());
    let mut task = Task::new(async move {
        let (device, runner) = deaddrop_wiznet::new(chip(kind), OWN, state, bus, line, reset).await?;
        let run: Pin<Box<dyn Future<Output = std::convert::Infallible>>> =
            Box::pin(async move { match runner.run().await {} });
        Ok((device, run))
    });
    let began = clock::now();
    loop {
        if let Some(made) = task.turn() {
            return (made, clock::now() - began);
        }
        assert!(clock::advance(began + Duration::from_secs(60)), "it never ends");
    }
}

/// Driver and chip.
pub(crate) struct Bench {
    pub(crate) model: Model,
    device: Device<'static>,
    runner: Task<std::convert::Infallible>,
}

impl Bench {
    /// With the link up.
    pub(crate) fn new(kind: Kind) -> Self {
        let model = Model::new(kind);
        let (Ok((device, run)), _) = set_up(kind, &model) else { panic!("a chip in order is set up") };
        let mut bench = Self { model, device, runner: Task::new(run) };
        bench.pass(Duration::from_millis(100));
        assert!(bench.link(), "the cable is in");
        bench
    }

    /// Runs the driver as far as it goes without time passing.
    pub(crate) fn turn(&mut self) {
        assert!(self.runner.turn().is_none());
    }

    /// Lets this much time pass.
    pub(crate) fn pass(&mut self, span: Duration) {
        let limit = clock::now() + span;
        loop {
            self.turn();
            if !clock::advance(limit) {
                return self.turn();
            }
        }
    }

    /// What the stack knows of the link.
    pub(crate) fn link(&mut self) -> bool {
        self.device.link_state(&mut Context::from_waker(Waker::noop())) == LinkState::Up
    }

    /// The stack takes a frame, if one is there.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        let (received, _) = self.device.receive(&mut Context::from_waker(Waker::noop()))?;
        Some(received.consume(|frame| frame.to_vec()))
    }

    /// The stack takes all frames that come without time passing.
    pub(crate) fn take_all(&mut self) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        loop {
            self.turn();
            match self.take() {
                Some(frame) => taken.push(frame),
                None => return taken,
            }
        }
    }

    /// The stack sends a frame. False if the queue is full.
    pub(crate) fn send(&mut self, frame: &[u8]) -> bool {
        let Some(token) = self.device.transmit(&mut Context::from_waker(Waker::noop())) else { return false };
        token.consume(frame.len(), |place| place.copy_from_slice(frame));
        true
    }

    /// A frame goes each way: nothing is wrong.
    pub(crate) fn works(&mut self) {
        let there = frame(OWN, 4_711, 300);
        assert!(self.model.arrive(&there), "the socket is open");
        assert_eq!(self.take_all(), [there]);
        let back = frame(ALL, 4_712, 200);
        self.model.all_sent();
        assert!(self.send(&back));
        self.turn();
        assert_eq!(self.model.all_sent(), [back]);
    }
}
