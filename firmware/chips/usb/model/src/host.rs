//! What a system does with a device that was plugged in.

use std::collections::BTreeMap;

use crate::{Cable, Stalled, frames, ntb_of};

/// An alternate setting of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number, and the alternate setting.
    pub number: (u8, u8),
    /// Class, subclass and protocol.
    pub class: (u8, u8, u8),
    /// Its functional descriptors, by subtype.
    pub functional: BTreeMap<u8, Vec<u8>>,
    /// Addresses of its endpoints.
    pub endpoints: Vec<u8>,
}

/// What the host has read of the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Vendor id, product id.
    pub ids: (u16, u16),
    /// Class, subclass and protocol of the device.
    pub class: (u8, u8, u8),
    /// Manufacturer, product and serial number.
    pub names: [String; 3],
    /// First interface, count and class of each association.
    pub associations: Vec<(u8, u8, (u8, u8, u8))>,
    /// All alternate settings.
    pub interfaces: Vec<Interface>,
    /// The host's hardware address on the network.
    pub mac: String,
    /// The answer to GET_NTB_PARAMETERS.
    pub ntb_parameters: Vec<u8>,
}

/// The serial port of an enumerated device.
#[derive(Clone, Copy, Debug)]
pub struct Serial {
    control: u8,
    /// Endpoints to the device and from it.
    pub endpoints: (u8, u8),
}

/// The network of an enumerated device.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Control and data interface.
    pub interfaces: (u8, u8),
    /// Of notifications.
    pub notify: u8,
    /// Endpoints to the device and from it.
    pub endpoints: (u8, u8),
}

/// A host that has enumerated a device.
#[derive(Clone)]
pub struct Host {
    cable: Cable,
    /// What it has read.
    pub seen: Seen,
    /// The serial port.
    pub serial: Serial,
    /// The network.
    pub network: Network,
}

impl Host {
    /// Enumerates the device at the end of a cable that is plugged in, and configures it. Panics if the device is not as
    /// the specifications say.
    pub async fn enumerate(cable: &Cable) -> Self {
        let mut seen = Seen::default();
        let device = cable.control_in([0x80, 6, 0, 1, 0, 0, 64, 0]).await.expect("a device descriptor");
        assert_eq!((device.len(), device[0], device[1]), (18, 18, 1), "a device descriptor");
        cable.reset();
        cable.control_out([0, 5, 9, 0, 0, 0, 0, 0], &[]).await.expect("an address");
        assert_eq!(cable.address(), 9);
        let word = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        seen.ids = (word(&device, 8), word(&device, 10));
        seen.class = (device[4], device[5], device[6]);
        for (name, index) in seen.names.iter_mut().zip(&device[14..17]) {
            *name = string(cable, *index).await;
        }
        let head = cable.control_in([0x80, 6, 0, 2, 0, 0, 9, 0]).await.expect("a configuration descriptor");
        let [low, high] = word(&head, 2).to_le_bytes();
        let configuration = cable.control_in([0x80, 6, 0, 2, 0, 0, low, high]).await.expect("all of it");
        assert_eq!(configuration.len(), usize::from(word(&head, 2)));
        seen.read(&configuration);

        let serial = seen.serial();
        let network = seen.network();
        let ethernet = seen.setting(network.interfaces.0, 0).functional[&0x0F].clone();
        seen.mac = string(cable, ethernet[0]).await;
        assert_eq!(word(&ethernet, 5), 1_514);
        cable.control_out([0, 9, 1, 0, 0, 0, 0, 0], &[]).await.expect("a configuration");
        let index = network.interfaces.0;
        let parameters = cable.control_in([0xA1, 0x80, 0, 0, index, 0, 28, 0]).await;
        seen.ntb_parameters = parameters.expect("the parameters of NTBs");
        Self { cable: cable.clone(), seen, serial, network }
    }

    /// Has the device's network carry frames, or not: the alternate setting of its data interface.
    ///
    /// # Errors
    ///
    /// [`Stalled`] if the device refuses it.
    pub async fn set_network(&self, setting: u8) -> Result<(), Stalled> {
        self.cable.control_out([1, 11, setting, 0, self.network.interfaces.1, 0, 0, 0], &[]).await
    }

    /// The next notification of the network.
    pub async fn notification(&self) -> Vec<u8> {
        self.cable.receive(self.network.notify).await
    }

    /// Sends frames in one NTB.
    pub async fn send_frames(&self, number: u16, frames: &[&[u8]]) {
        self.cable.send(self.network.endpoints.0, &ntb_of(number, frames)).await;
    }

    /// The frames of the device's next NTB. Panics if it is wrong.
    pub async fn frames(&self) -> Vec<Vec<u8>> {
        let ntb = self.cable.receive(self.network.endpoints.1).await;
        frames(&ntb).unwrap_or_else(|| panic!("not as NCM has it: {ntb:02x?}"))
    }

    /// Opens the serial port, or closes it.
    pub async fn open_serial(&self, open: bool) {
        let coding = [0x00, 0xC2, 0x01, 0x00, 0, 0, 8];
        self.cable
            .control_out([0x21, 0x20, 0, 0, self.serial.control, 0, 7, 0], &coding)
            .await
            .expect("a line coding");
        let lines = if open { 3 } else { 0 };
        self.cable
            .control_out([0x21, 0x22, lines, 0, self.serial.control, 0, 0, 0], &[])
            .await
            .expect("line states");
    }

    /// Types at the serial port.
    pub async fn type_in(&self, text: &str) {
        for packet in text.as_bytes().chunks(64) {
            self.cable.send_packet(self.serial.endpoints.0, packet).await;
        }
    }

    /// The next packet that the serial port has.
    pub async fn printed(&self) -> String {
        String::from_utf8_lossy(&self.cable.received(self.serial.endpoints.1).await).into_owned()
    }
}

/// A string descriptor in English.
async fn string(cable: &Cable, index: u8) -> String {
    assert_ne!(index, 0, "there is such a string");
    let bytes = cable.control_in([0x80, 6, index, 3, 0x09, 0x04, 255, 0]).await.expect("a string descriptor");
    assert_eq!((usize::from(bytes[0]), bytes[1]), (bytes.len(), 3));
    let words: Vec<u16> = bytes[2..].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&words).expect("UTF-16")
}

impl Seen {
    fn read(&mut self, mut rest: &[u8]) {
        while let [len, kind, ..] = *rest {
            let descriptor = rest.get(..usize::from(len)).filter(|bytes| bytes.len() >= 2);
            let descriptor = descriptor.expect("descriptors one after the other");
            match kind {
                2 => assert_eq!((descriptor[4], descriptor[5]), (4, 1), "four interfaces, configuration 1"),
                4 => self.interfaces.push(Interface {
                    number: (descriptor[2], descriptor[3]),
                    class: (descriptor[5], descriptor[6], descriptor[7]),
                    ..Interface::default()
                }),
                5 => self.last().endpoints.push(descriptor[2]),
                11 => {
                    let class = (descriptor[4], descriptor[5], descriptor[6]);
                    self.associations.push((descriptor[2], descriptor[3], class));
                }
                0x24 => {
                    let (subtype, content) = (descriptor[2], descriptor[3..].to_vec());
                    assert!(self.last().functional.insert(subtype, content).is_none());
                }
                _ => panic!("a descriptor of type {kind}"),
            }
            rest = &rest[usize::from(len)..];
        }
        assert!(rest.is_empty());
    }

    fn last(&mut self) -> &mut Interface {
        self.interfaces.last_mut().expect("an interface first")
    }

    fn setting(&self, number: u8, setting: u8) -> &Interface {
        let found = self.interfaces.iter().find(|interface| interface.number == (number, setting));
        found.unwrap_or_else(|| panic!("no setting {setting} of interface {number}"))
    }

    /// Control and data interface of the function of this class, by its union.
    fn function(&self, class: (u8, u8, u8)) -> (u8, u8) {
        let control = self.interfaces.iter().find(|interface| interface.class == class).expect("a function");
        let union = &control.functional[&6];
        assert_eq!(union[0], control.number.0, "the union is of this interface");
        (union[0], union[1])
    }

    /// Endpoints to the device and from it.
    fn both_ways(&self, number: u8, setting: u8) -> (u8, u8) {
        let endpoints = &self.setting(number, setting).endpoints;
        assert_eq!(endpoints.len(), 2);
        let way = |inward: bool| endpoints.iter().copied().find(|address| (address & 0x80 != 0) == inward);
        (way(false).expect("to the device"), way(true).expect("from the device"))
    }

    fn serial(&self) -> Serial {
        let (control, data) = self.function((2, 2, 0));
        Serial { control, endpoints: self.both_ways(data, 0) }
    }

    fn network(&self) -> Network {
        let interfaces = self.function((2, 0x0D, 0));
        assert!(self.setting(interfaces.1, 0).endpoints.is_empty(), "the first setting carries nothing");
        let notify = self.setting(interfaces.0, 0).endpoints[0];
        Network { interfaces, notify, endpoints: self.both_ways(interfaces.1, 1) }
    }
}
