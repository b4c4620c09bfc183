//! A WIZnet chip between a stack and its cable, as on the boards that have one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use deaddrop_wiznet::{Chip, Device, State, W5500, W6100};
use deaddrop_wiznet_model::{Kind, Model};
use embassy_net_driver::{Driver, HardwareAddress, LinkState, RxToken};

use super::Lan;
use super::switch::Port;

/// The chip of this test program's boards. `over_w5500` and `over_w6100` are the tests of `two_boards` once
/// more.
pub(crate) const CHIP: Option<Kind> = match env!("CARGO_CRATE_NAME").as_bytes() {
    b"over_w5500" => Some(Kind::W5500),
    b"over_w6100" => Some(Kind::W6100),
    _ => None,
};

fn driven(kind: Kind) -> &'static Chip {
    match kind {
        Kind::W5500 => &W5500,
        Kind::W6100 => &W6100,
    }
}

/// Puts a chip at the end of a cable, sets it up and runs its driver.
pub(crate) fn attach(lan: &mut Lan, kind: Kind, port: Port) -> Device<'static> {
    let model = Model::new(kind);
    let HardwareAddress::Ethernet(address) = port.hardware_address() else { panic!("of a switch") };
    let (bus, line, reset) = (model.bus(), model.line(), model.reset_pin());
    let made = Rc::new(RefCell::new(None));
    let device = made.clone();
    lan.spawn(async move {
        let state: &'static mut State<2, 2> = Box::leak(Box::new(State::new()));
        let set_up = deaddrop_wiznet::new(driven(kind), address, state, bus, line, reset).await;
        let (device, runner) = set_up.expect("the chip is in order");
        *made.borrow_mut() = Some(device);
        runner.run().await;
    });
    lan.spawn(carry(model, port));
    lan.when(|| device.borrow_mut().take())
}

/// The cable: what arrives goes into the chip, what the chip sends goes out.
async fn carry(model: Model, mut port: Port) {
    poll_fn(|context| {
        model.plug(port.link_state(context) == LinkState::Up);
        while let Some((frame, _)) = port.receive(context) {
            // One that finds no space is lost, as on a cable.
            let _ = frame.consume(|frame| model.arrive(frame));
        }
        model.on_sent(context.waker());
        while let Some(frame) = model.sent() {
            port.send(&frame);
        }
        Poll::<()>::Pending
    })
    .await;
}
