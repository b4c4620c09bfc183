//! A DHCP server at a port of the switch, as small as one can be.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::task::Poll;

use embassy_net_driver::{Driver, RxToken};

use super::Lan;

/// Its own address, and the network of its leases.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);

/// The lease of the board with this number.
pub(crate) fn lease(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 7, 0, 100 + u8::try_from(number).unwrap())
}

/// Starts a server. What it gives: the host names that it heard.
pub(crate) fn serve(lan: &mut Lan) -> Rc<RefCell<Vec<String>>> {
    let mut port = lan.switch.port();
    // Ports and boards have the same numbers.
    lan.boards += 1;
    let names = Rc::new(RefCell::new(Vec::new()));
    let heard = names.clone();
    lan.spawn(async move {
        poll_fn(|context| {
            while let Some((frame, _)) = port.receive(context) {
                if let Some(answer) = frame.consume(|frame| answer(frame, &mut heard.borrow_mut())) {
                    port.send(&answer);
                }
            }
            Poll::<()>::Pending
        })
        .await;
    });
    names
}

/// The answer to a frame, if it is for a DHCP server.
fn answer(frame: &[u8], names: &mut Vec<String>) -> Option<Vec<u8>> {
    if frame.get(12..14)? != [8, 0] || frame.get(23)? != &17 || frame.get(36..38)? != [0, 67] {
        return None;
    }
    let mut kind = None;
    let mut options = frame.get(282..)?;
    while let [code @ 1..=254, len, rest @ ..] = options {
        let (value, rest) = rest.split_at_checked(usize::from(*len))?;
        match code {
            53 => kind = value.first().copied(),
            12 => names.push(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
        options = rest;
    }
    // An offer to a discover, an acknowledgement to a request.
    let kind = if kind? == 1 { 2 } else { 5 };
    let board: [u8; 6] = frame.get(70..76)?.try_into().ok()?;
    let mut reply = vec![0; 342];
    let mut put = |at: usize, bytes: &[u8]| reply[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &board);
    put(6, &[2, 0, 0, 0, 0, 0xEE]);
    put(12, &[8, 0, 0x45, 0, 0x01, 0x48, 0, 0, 0, 0, 64, 17]);
    put(26, &SERVER.octets());
    put(30, &[255; 4]);
    put(34, &[0, 67, 0, 68, 0x01, 0x34]);
    put(42, &[2, 1, 6, 0]);
    // The transaction, as asked.
    put(46, &frame[46..50]);
    put(58, &lease(usize::from(board[5])).octets());
    put(70, &board);
    put(278, &[99, 130, 83, 99, 53, 1, kind, 54, 4]);
    put(287, &SERVER.octets());
    put(291, &[51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 255]);
    let sum: u32 =
        reply[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap();
    reply[24..26].copy_from_slice(&sum.to_be_bytes());
    Some(reply)
}
