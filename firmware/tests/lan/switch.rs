//! An ethernet switch in memory: what one port sends, all others that are plugged in hear.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

/// Bytes of a frame, without its check sequence.
const MTU: usize = 1_514;
/// Frames that a board's hardware keeps until they are taken: as few as the smallest part has.
const QUEUE: usize = 8;

#[derive(Default)]
struct Socket {
    plugged: bool,
    /// Its driver receives nothing any more, though the link is up.
    deaf: bool,
    received: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Inner {
    sockets: Vec<Socket>,
    /// Frames lost, of a thousand.
    loss: u64,
    dice: u64,
    /// Frames that were lost in this way.
    lost: u64,
    /// Bytes to carry before nothing passes any more.
    cut_after: Option<usize>,
}

/// The switch.
#[derive(Clone, Default)]
pub(crate) struct Switch(Rc<RefCell<Inner>>);

impl Switch {
    /// A switch with nothing plugged in.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A port with its cable in.
    pub(crate) fn port(&self) -> Port {
        let mut inner = self.0.borrow_mut();
        inner.sockets.push(Socket { plugged: true, ..Socket::default() });
        Port { switch: self.clone(), number: inner.sockets.len() - 1 }
    }

    /// Pulls a cable out, or plugs it in again.
    pub(crate) fn plug(&self, number: usize, plugged: bool) {
        let mut inner = self.0.borrow_mut();
        let socket = &mut inner.sockets[number];
        socket.plugged = plugged;
        socket.received.clear();
        if let Some(waker) = socket.waker.take() {
            waker.wake();
        }
    }

    /// Makes the driver at a port deaf.
    pub(crate) fn deafen(&self, number: usize) {
        self.0.borrow_mut().sockets[number].deaf = true;
    }

    /// From now on this many of a thousand frames are lost, chosen by `seed`.
    pub(crate) fn lose(&self, of_a_thousand: u64, seed: u64) {
        let mut inner = self.0.borrow_mut();
        (inner.loss, inner.dice) = (of_a_thousand, seed);
    }

    /// Frames lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.0.borrow().lost
    }

    /// After this many bytes nothing passes, though all cables are in.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.0.borrow_mut().cut_after = Some(bytes);
    }

    /// Whether nothing passes.
    pub(crate) fn is_cut(&self) -> bool {
        self.0.borrow().cut_after == Some(0)
    }

    /// Everything passes again.
    pub(crate) fn mend(&self) {
        self.0.borrow_mut().cut_after = None;
    }
}

impl Inner {
    /// splitmix64.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn send(&mut self, from: usize, frame: &[u8]) {
        if !self.sockets[from].plugged || self.cut_after == Some(0) {
            return;
        }
        self.cut_after = self.cut_after.map(|left| left.saturating_sub(frame.len()));
        for to in (0..self.sockets.len()).filter(|to| *to != from) {
            let address = hardware_address(to);
            let for_it = frame[..6] == address || frame[0] & 1 == 1;
            let lost = for_it && self.loss > 0 && self.roll() % 1_000 < self.loss;
            let socket = &mut self.sockets[to];
            self.lost += u64::from(lost);
            if lost || !for_it || !socket.plugged || socket.deaf || socket.received.len() >= QUEUE {
                continue;
            }
            socket.received.push_back(frame.to_vec());
            if let Some(waker) = socket.waker.take() {
                waker.wake();
            }
        }
    }
}

/// One end of a cable.
pub(crate) struct Port {
    switch: Switch,
    number: usize,
}

impl Port {
    /// Sends a frame as it is, whatever source it states.
    pub(crate) fn send(&self, frame: &[u8]) {
        self.switch.0.borrow_mut().send(self.number, frame);
    }

    /// Which port of the switch it is.
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

fn hardware_address(number: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, u8::try_from(number).unwrap()]
}

impl Driver for Port {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Frame, Sending<'_>)> {
        let mut inner = self.switch.0.borrow_mut();
        let socket = &mut inner.sockets[self.number];
        let Some(frame) = socket.received.pop_front() else {
            socket.waker = Some(cx.waker().clone());
            return None;
        };
        drop(inner);
        Some((Frame(frame), Sending(self)))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Sending<'_>> {
        let mut inner = self.switch.0.borrow_mut();
        inner.sockets[self.number].waker = Some(cx.waker().clone());
        drop(inner);
        Some(Sending(self))
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        let mut inner = self.switch.0.borrow_mut();
        let socket = &mut inner.sockets[self.number];
        socket.waker = Some(cx.waker().clone());
        if socket.plugged { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(hardware_address(self.number))
    }
}

/// A frame that has come.
pub(crate) struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

/// Room for a frame to send.
pub(crate) struct Sending<'a>(&'a Port);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.switch.0.borrow_mut().send(self.0.number, &frame);
        result
    }
}
