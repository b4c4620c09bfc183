//! A model of a USB host and its cable. The device under test runs on it through the traits of `embassy-usb-driver`.
//!
//! [`Cable::driver`] is the device's controller, [`Host`] the other end. A host that is not well behaved can be made of the
//! same parts: [`Cable::control_in`], [`Cable::control_out`], [`Cable::send_packet`] and [`Cable::received`].
//!
//! Written from the specifications of USB 2.0, CDC 1.2 and NCM 1.0, apart from the device.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what is wrong fails the test that uses it"
)]

mod controller;
mod host;
mod ntb;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use embassy_usb_driver::{EndpointInfo, Event};

pub use controller::{BusSide, ControlSide, Driver, End, FromHost, In, Out, ToHost};
pub use host::{Host, Interface, Network, Seen, Serial};
pub use ntb::{frames, ntb_of};

/// What a controller does with an endpoint that is not enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Reading and writing end with `Disabled`, as the traits say.
    AsDocumented,
    /// As that of the RP2040 in embassy-rp 0.10: a read from an endpoint that was never enabled gives an empty packet at
    /// once, and what has begun does not end until the endpoint is enabled again.
    AsRp,
}

/// The device refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled;

#[derive(Default)]
struct Endpoint {
    info: Option<EndpointInfo>,
    enabled: bool,
    was_enabled: bool,
    /// Packets on their way: one at most, as the controller has one buffer.
    packet: Option<Vec<u8>>,
    device: Option<Waker>,
    host: Option<Waker>,
}

impl Endpoint {
    fn wake(&mut self) {
        [self.device.take(), self.host.take()].into_iter().flatten().for_each(Waker::wake);
    }
}

/// A control request, and how far it is.
#[derive(Default)]
struct Transfer {
    setup: Option<[u8; 8]>,
    out: VecDeque<u8>,
    answer: Vec<u8>,
    ended: Option<bool>,
    device: Option<Waker>,
    host: Option<Waker>,
}

struct Inner {
    manner: Manner,
    plugged: bool,
    events: VecDeque<Event>,
    bus: Option<Waker>,
    /// By address.
    endpoints: BTreeMap<u8, Endpoint>,
    control: Transfer,
    address: u8,
}

/// The cable. Clones are the same one.
#[derive(Clone)]
pub struct Cable(Rc<RefCell<Inner>>);

impl Cable {
    /// A cable that is not plugged in.
    pub fn new(manner: Manner) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            manner,
            plugged: false,
            events: VecDeque::new(),
            bus: None,
            endpoints: BTreeMap::new(),
            control: Transfer::default(),
            address: 0,
        })))
    }

    /// The device's end.
    pub fn driver(&self) -> Driver {
        Driver::new(self.clone())
    }

    /// Plugs it in: the host finds a device and resets it.
    pub fn plug(&self) {
        let mut inner = self.0.borrow_mut();
        inner.plugged = true;
        inner.address = 0;
        inner.tell(Event::PowerDetected);
        inner.reset();
    }

    /// Pulls it out. A device with power of its own sees that the bus is idle, and no more.
    pub fn unplug(&self) {
        let mut inner = self.0.borrow_mut();
        inner.plugged = false;
        inner.tell(Event::Suspend);
        if let Some(host) = inner.control.host.take() {
            host.wake();
        }
    }

    /// The host sleeps, or wakes up.
    pub fn suspend(&self, suspended: bool) {
        self.0.borrow_mut().tell(if suspended { Event::Suspend } else { Event::Resume });
    }

    /// The host resets the device.
    pub fn reset(&self) {
        self.0.borrow_mut().reset();
    }

    /// The device's address on the bus; 0 before it was given one.
    pub fn address(&self) -> u8 {
        self.0.borrow().address
    }

    /// A request that has the device answer.
    ///
    /// # Errors
    ///
    /// [`Stalled`] if the device refuses it.
    pub async fn control_in(&self, setup: [u8; 8]) -> Result<Vec<u8>, Stalled> {
        self.transfer(setup, &[]).await
    }

    /// A request that brings the device something.
    ///
    /// # Errors
    ///
    /// [`Stalled`] if the device refuses it.
    pub async fn control_out(&self, setup: [u8; 8], data: &[u8]) -> Result<(), Stalled> {
        self.transfer(setup, data).await.map(drop)
    }

    async fn transfer(&self, setup: [u8; 8], data: &[u8]) -> Result<Vec<u8>, Stalled> {
        {
            let mut inner = self.0.borrow_mut();
            let out = data.iter().copied().collect();
            let device = inner.control.device.take();
            inner.control = Transfer { setup: Some(setup), out, ..Transfer::default() };
            if let Some(device) = device {
                device.wake();
            }
        }
        poll_fn(|context| {
            let control = &mut self.0.borrow_mut().control;
            control.host = Some(context.waker().clone());
            match control.ended {
                Some(true) => Poll::Ready(Ok(std::mem::take(&mut control.answer))),
                Some(false) => Poll::Ready(Err(Stalled)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Sends the device a packet, as soon as it has taken the one before.
    pub fn send_packet(&self, endpoint: u8, packet: &[u8]) -> impl Future<Output = ()> {
        let (cable, mut packet) = (self.clone(), Some(packet.to_vec()));
        poll_fn(move |context| {
            let mut inner = cable.0.borrow_mut();
            let endpoint = inner.endpoints.entry(endpoint).or_default();
            if endpoint.packet.is_some() || !endpoint.enabled {
                endpoint.host = Some(context.waker().clone());
                return Poll::Pending;
            }
            endpoint.packet = packet.take();
            endpoint.wake();
            Poll::Ready(())
        })
    }

    /// The next packet of the device.
    pub fn received(&self, endpoint: u8) -> impl Future<Output = Vec<u8>> {
        let cable = self.clone();
        poll_fn(move |context| {
            let mut inner = cable.0.borrow_mut();
            let endpoint = inner.endpoints.entry(endpoint).or_default();
            if let Some(packet) = endpoint.packet.take_if(|_| endpoint.enabled) {
                endpoint.wake();
                return Poll::Ready(packet);
            }
            endpoint.host = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// Sends a transfer: full packets, and a shorter one at its end.
    pub async fn send(&self, endpoint: u8, transfer: &[u8]) {
        let size = self.packet_size(endpoint);
        for packet in transfer.chunks(size) {
            self.send_packet(endpoint, packet).await;
        }
        if transfer.len().is_multiple_of(size) {
            self.send_packet(endpoint, &[]).await;
        }
    }

    /// The next transfer of the device.
    pub async fn receive(&self, endpoint: u8) -> Vec<u8> {
        let size = self.packet_size(endpoint);
        let mut transfer = Vec::new();
        loop {
            let packet = self.received(endpoint).await;
            transfer.extend(&packet);
            if packet.len() < size {
                return transfer;
            }
        }
    }

    fn packet_size(&self, endpoint: u8) -> usize {
        let inner = self.0.borrow();
        let info = inner.endpoints.get(&endpoint).and_then(|endpoint| endpoint.info);
        info.map_or(64, |info| info.max_packet_size.into())
    }
}

impl Inner {
    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
        if let Some(bus) = self.bus.take() {
            bus.wake();
        }
    }

    fn reset(&mut self) {
        self.address = 0;
        for endpoint in self.endpoints.values_mut() {
            endpoint.enabled = false;
            endpoint.packet = None;
            endpoint.wake();
        }
        self.tell(Event::Reset);
    }
}
