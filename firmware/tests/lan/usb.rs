//! A USB cable between a stack and the LAN: at its other end is a host that bridges the two.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use deaddrop_usb::{Console, Device, Identity, State, TEST_IDS};
use deaddrop_usb_model::{Cable, Driver, Host, Manner};
use embassy_futures::select::select;
use embassy_net_driver::{Driver as _, HardwareAddress, LinkState, RxToken};

use super::Lan;
use super::switch::Port;

/// Bytes of an NTB that a host fills with frames, of the 2,048 that the device takes.
const FILLED: usize = 1_900;

/// A device that runs, with its cable not plugged in.
pub(crate) fn device(lan: &mut Lan, manner: Manner, board: [u8; 6]) -> (Cable, Console<Driver>, Device) {
    let cable = Cable::new(manner);
    let chip = [0xE6, 0x60, 1, 2, 3, 4, 5, board[5]];
    let host = [2, 0xAA, 0, 0, 0, board[5]];
    let identity = Identity { ids: TEST_IDS, product: "deaddrop on Raspberry Pi Pico 2", chip, board, host };
    let state = Box::leak(Box::new(State::new()));
    let (console, device, mut runner) = deaddrop_usb::new(cable.driver(), identity, state);
    lan.spawn(async move {
        runner.run().await;
    });
    (cable, console, device)
}

/// What a host shows of itself once it has enumerated the device.
pub(crate) type Shown = Rc<RefCell<Option<Host>>>;

/// A device whose host bridges it to a port.
pub(crate) fn attach(lan: &mut Lan, port: Port) -> (Console<Driver>, Device, Shown) {
    let HardwareAddress::Ethernet(board) = port.hardware_address() else { panic!("of a switch") };
    let (cable, console, device) = device(lan, Manner::AsRp, board);
    let shown = Shown::default();
    lan.spawn(bridge(cable, port, shown.clone()));
    (console, device, shown)
}

/// The cable of the port is that of the USB too: pulled out and plugged in with it.
async fn bridge(cable: Cable, port: Port, shown: Shown) {
    let port = RefCell::new(port);
    loop {
        poll_fn(|context| match port.borrow_mut().link_state(context) {
            LinkState::Up => Poll::Ready(()),
            LinkState::Down => Poll::Pending,
        })
        .await;
        cable.plug();
        let host = Host::enumerate(&cable).await;
        host.set_network(1).await.expect("a network");
        *shown.borrow_mut() = Some(host.clone());
        let to_board = async {
            for number in 0.. {
                let Some(frames) = arrived(&port).await else { return };
                let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
                host.send_frames(number, &frames).await;
            }
        };
        let from_board = async {
            loop {
                for frame in host.frames().await {
                    port.borrow().send(&frame);
                }
            }
        };
        let notified = async {
            host.notification().await;
            from_board.await;
        };
        select(to_board, notified).await;
        shown.take();
        cable.unplug();
    }
}

/// The frames at a port that fit into one NTB; `None` once its cable is out.
async fn arrived(port: &RefCell<Port>) -> Option<Vec<Vec<u8>>> {
    poll_fn(|context| {
        let mut port = port.borrow_mut();
        let (mut frames, mut len) = (Vec::new(), 0);
        while len + 1_530 < FILLED || frames.is_empty() {
            let Some((frame, _)) = port.receive(context) else { break };
            frames.push(frame.consume(|frame| frame.to_vec()));
            len += frames.last().map_or(0, |frame| frame.len() + 8);
        }
        match port.link_state(context) {
            LinkState::Down => Poll::Ready(None),
            LinkState::Up if frames.is_empty() => Poll::Pending,
            LinkState::Up => Poll::Ready(Some(frames)),
        }
    })
    .await
}

/// Lets time pass until a future has ended.
pub(crate) fn done<T: 'static>(lan: &mut Lan, future: impl Future<Output = T> + 'static) -> T {
    let result = Rc::new(RefCell::new(None));
    let to = result.clone();
    lan.spawn(async move {
        let value = future.await;
        *to.borrow_mut() = Some(value);
    });
    lan.when(|| result.borrow_mut().take())
}
