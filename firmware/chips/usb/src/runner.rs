//! Runs the device: enumeration, and frames between the cable and the stack.

use core::future::pending;

use embassy_futures::join::join4;
use embassy_futures::select::select;
use embassy_net_driver_channel as channel;
use embassy_net_driver_channel::driver::LinkState;
use embassy_usb::UsbDevice;
use embassy_usb::driver::{Driver, EndpointIn, EndpointOut};

use crate::link::{Follower, Link};
use crate::ncm::Endpoints;
use crate::ntb::{Frames, MTU, RECEIVED_MAX, SENT_MAX, write};

/// The cable's side of the device.
pub struct Runner<D: Driver<'static>> {
    device: UsbDevice<'static, D>,
    network: Endpoints<D>,
    link: &'static Link,
    frames: channel::Runner<'static, MTU>,
    received: [u8; RECEIVED_MAX],
    sent: [u8; SENT_MAX],
}

impl<D: Driver<'static>> Runner<D> {
    pub(crate) const fn new(
        device: UsbDevice<'static, D>,
        network: Endpoints<D>,
        link: &'static Link,
        frames: channel::Runner<'static, MTU>,
    ) -> Self {
        Self { device, network, link, frames, received: [0; RECEIVED_MAX], sent: [0; SENT_MAX] }
    }

    /// Runs for as long as the board is on.
    pub async fn run(&mut self) -> ! {
        let Endpoints { notify, received, sent, number } = &mut self.network;
        let (state, to_stack, from_stack) = self.frames.borrow_split();
        // There are as many as follow.
        let (Some(a), Some(b), Some(c)) = (self.link.follow(), self.link.follow(), self.link.follow()) else {
            loop {
                pending::<()>().await;
            }
        };
        join4(
            self.device.run(),
            follow(a, &state, notify, number.0),
            receive(b, received, &mut self.received, to_stack),
            send(c, from_stack, sent, &mut self.sent),
        )
        .await
        .0
    }
}

/// Tells the stack about the link, and the host that there is one at this end too.
async fn follow(
    mut link: Follower<'_>,
    state: &channel::StateRunner<'_>,
    notify: &mut impl EndpointIn,
    interface: u8,
) -> ! {
    // NETWORK_CONNECTION: connected.
    let connected = [0xA1, 0x00, 1, 0, interface, 0, 0, 0];
    loop {
        let session = link.up().await;
        state.set_link_state(LinkState::Up);
        let tell = async {
            notify.wait_enabled().await;
            // What fails is over with the session.
            let _ = notify.write(&connected).await;
            pending::<()>().await;
        };
        select(tell, link.over(session)).await;
        state.set_link_state(LinkState::Down);
    }
}

/// From the cable to the stack.
///
/// Some drivers neither end a read when its endpoint is disabled, nor keep it from an endpoint that never was enabled: so
/// it is begun and ended here.
async fn receive(
    mut link: Follower<'_>,
    endpoint: &mut impl EndpointOut,
    ntb: &mut [u8; RECEIVED_MAX],
    mut to_stack: channel::RxRunner<'_, MTU>,
) -> ! {
    loop {
        let session = link.up().await;
        let carry = async {
            endpoint.wait_enabled().await;
            while let Some(len) = read(endpoint, ntb).await {
                for frame in Frames::of(ntb.get(..len).unwrap_or_default()) {
                    let space = to_stack.rx_buf().await;
                    space.iter_mut().zip(frame).for_each(|(to, byte)| *to = *byte);
                    to_stack.rx_done(frame.len());
                }
            }
            pending::<()>().await;
        };
        select(carry, link.over(session)).await;
    }
}

/// Reads an NTB and gives its length, if the endpoint is there.
async fn read(endpoint: &mut impl EndpointOut, ntb: &mut [u8; RECEIVED_MAX]) -> Option<usize> {
    let mut len = 0;
    loop {
        let packet = ntb.get_mut(len..).unwrap_or_default();
        let got = endpoint.read(packet).await.ok()?;
        len += got;
        if got < usize::from(endpoint.info().max_packet_size) || len >= RECEIVED_MAX {
            return Some(len);
        }
    }
}

/// From the stack to the cable. Without a link frames are dropped, as on any cable.
async fn send(
    mut link: Follower<'_>,
    mut from_stack: channel::TxRunner<'_, MTU>,
    endpoint: &mut impl EndpointIn,
    ntb: &mut [u8; SENT_MAX],
) -> ! {
    let mut number = 0_u16;
    loop {
        let len = write(number, from_stack.tx_buf().await, ntb);
        from_stack.tx_done();
        let session = link.now();
        if session.is_some() {
            number = number.wrapping_add(1);
            let carry = async {
                endpoint.wait_enabled().await;
                // What fails is over with the session. A transfer ends with a short packet.
                let _ = endpoint.write_transfer(ntb.get(..len).unwrap_or_default(), true).await;
            };
            select(carry, link.over(session)).await;
        }
    }
}
