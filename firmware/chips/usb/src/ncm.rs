//! The network function: its descriptors, and the requests about it.

use core::fmt::Write;

use embassy_usb::control::{InResponse, OutResponse, Recipient, Request, RequestType};
use embassy_usb::driver::Driver;
use embassy_usb::types::{InterfaceNumber, StringIndex};
use embassy_usb::{Builder, Handler};

use crate::link::Link;
use crate::ntb::{MTU, RECEIVED_MAX};

const CLASS_CONTROL: u8 = 0x02;
const CLASS_DATA: u8 = 0x0A;
const SUBCLASS_NCM: u8 = 0x0D;
const PROTOCOL_NTB: u8 = 0x01;

const FUNCTIONAL: u8 = 0x24;

const SET_PACKET_FILTER: u8 = 0x43;
const GET_NTB_PARAMETERS: u8 = 0x80;
const GET_NTB_INPUT_SIZE: u8 = 0x85;
const SET_NTB_INPUT_SIZE: u8 = 0x86;

/// The alternate setting of the data interface that has endpoints.
const CARRYING: u8 = 1;

const MTU_BYTES: [u8; 2] = bytes(MTU);
const NTB_BYTES: [u8; 2] = bytes(RECEIVED_MAX);

/// Of the largest NTBs, each way: the format with 16 bits; offsets of headers and frames in multiples of 4; any number of
/// frames in one.
const NTB_PARAMETERS: [u8; 28] = {
    let [low, high] = NTB_BYTES;
    [28, 0, 1, 0, low, high, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, low, high, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0]
};
const NTB_INPUT_SIZE: [u8; 4] = [NTB_BYTES[0], NTB_BYTES[1], 0, 0];

#[expect(clippy::cast_possible_truncation, reason = "sizes of frames and NTBs have 16 bits")]
const fn bytes(size: usize) -> [u8; 2] {
    (size as u16).to_le_bytes()
}

/// The endpoints of the network, and its communications interface, which notifications are about (CDC 1.2, section 6.3).
pub(crate) struct Endpoints<D: Driver<'static>> {
    pub(crate) notify: D::EndpointIn,
    pub(crate) received: D::EndpointOut,
    pub(crate) sent: D::EndpointIn,
    pub(crate) number: InterfaceNumber,
}

/// Adds the function to a device.
pub(crate) fn add<D: Driver<'static>>(
    builder: &mut Builder<'static, D>,
    control: &'static mut Option<Control>,
    link: &'static Link,
    host: [u8; 6],
    packet: u16,
) -> Endpoints<D> {
    let mut function = builder.function(CLASS_CONTROL, SUBCLASS_NCM, 0);
    let mut interface = function.interface();
    let (number, host_index) = (interface.interface_number(), interface.string());
    let data = InterfaceNumber(number.0 + 1);
    let mut setting = interface.alt_setting(CLASS_CONTROL, SUBCLASS_NCM, 0, None);
    // The header, with the version of CDC; the union of the two interfaces; Ethernet; NCM 1.0 with a packet filter.
    setting.descriptor(FUNCTIONAL, &[0x00, 0x10, 0x01]);
    setting.descriptor(FUNCTIONAL, &[0x06, number.0, data.0]);
    let [low, high] = MTU_BYTES;
    setting.descriptor(FUNCTIONAL, &[0x0F, host_index.0, 0, 0, 0, 0, low, high, 0, 0, 0]);
    setting.descriptor(FUNCTIONAL, &[0x1A, 0x00, 0x01, 0x01]);
    let notify = setting.endpoint_interrupt_in(None, 16, 32);

    let mut interface = function.interface();
    interface.alt_setting(CLASS_DATA, 0, PROTOCOL_NTB, None);
    let mut setting = interface.alt_setting(CLASS_DATA, 0, PROTOCOL_NTB, None);
    let received = setting.endpoint_bulk_out(None, packet);
    let sent = setting.endpoint_bulk_in(None, packet);
    drop(function);

    let mut text = heapless::String::new();
    for byte in host {
        // Fits.
        let _ = write!(text, "{byte:02X}");
    }
    let state = Control {
        link,
        number,
        data,
        host_index,
        host: text,
        sessions: 0,
        carrying: false,
        suspended: false,
    };
    builder.handler(control.insert(state));
    Endpoints { notify, received, sent, number }
}

/// What the host has said about the network.
pub(crate) struct Control {
    link: &'static Link,
    number: InterfaceNumber,
    data: InterfaceNumber,
    host_index: StringIndex,
    /// The host's hardware address, as its string descriptor has it.
    host: heapless::String<12>,
    sessions: u32,
    carrying: bool,
    suspended: bool,
}

impl Control {
    fn now(&mut self, carrying: bool, suspended: bool) {
        (self.carrying, self.suspended) = (carrying, suspended);
        let up = carrying && !suspended;
        if up {
            self.sessions = self.sessions.wrapping_add(1);
        }
        self.link.set(up.then_some(self.sessions));
    }

    /// Whether a request is about this function.
    fn is_meant(&self, request: Request) -> bool {
        (request.request_type, request.recipient, request.index)
            == (RequestType::Class, Recipient::Interface, self.number.0.into())
    }
}

impl Handler for Control {
    fn enabled(&mut self, _: bool) {
        self.now(false, false);
    }

    fn reset(&mut self) {
        self.now(false, false);
    }

    fn configured(&mut self, _: bool) {
        // A configuration begins with the alternate settings 0.
        self.now(false, self.suspended);
    }

    fn suspended(&mut self, suspended: bool) {
        self.now(self.carrying, suspended);
    }

    fn set_alternate_setting(&mut self, interface: InterfaceNumber, setting: u8) {
        if interface == self.data {
            self.now(setting == CARRYING, self.suspended);
        }
    }

    fn control_out(&mut self, request: Request, data: &[u8]) -> Option<OutResponse> {
        self.is_meant(request).then(|| match (request.request, data.first_chunk()) {
            // All packets pass, whatever the filter: the stack looks at each.
            (SET_PACKET_FILTER, _) => OutResponse::Accepted,
            (SET_NTB_INPUT_SIZE, Some(size))
                if u32::from_le_bytes(*size) >= u32::from_le_bytes(NTB_INPUT_SIZE) =>
            {
                OutResponse::Accepted
            }
            _ => OutResponse::Rejected,
        })
    }

    fn control_in<'a>(&'a mut self, request: Request, _: &'a mut [u8]) -> Option<InResponse<'a>> {
        self.is_meant(request).then_some(match request.request {
            GET_NTB_PARAMETERS => InResponse::Accepted(&NTB_PARAMETERS),
            GET_NTB_INPUT_SIZE => InResponse::Accepted(&NTB_INPUT_SIZE),
            _ => InResponse::Rejected,
        })
    }

    fn get_string(&mut self, index: StringIndex, _: u16) -> Option<&str> {
        (index == self.host_index).then_some(&*self.host)
    }
}
