#![allow(clippy::indexing_slicing)]

use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use super::*;

/// Two wires with a PHY at one address, or none.
#[derive(Default)]
struct Wires {
    at: Option<u8>,
    registers: [u16; 8],
    /// Looks until a reset has ended; `None`: it never ends.
    reset: Option<usize>,
    /// A loss of the link that nobody has read.
    lost: bool,
    modes: Vec<Mode>,
}

type Shared = Rc<RefCell<Wires>>;

struct Line(Shared);

impl Management for Line {
    fn read(&mut self, address: u8, register: u8) -> u16 {
        let mut wires = self.0.borrow_mut();
        if wires.at != Some(address) {
            return 0xFFFF;
        }
        let mut value = wires.registers[usize::from(register)];
        if register == link::CONTROL {
            match &mut wires.reset {
                Some(0) => wires.registers[0] &= !link::RESET,
                Some(looks) => *looks -= 1,
                None => {}
            }
            value = wires.registers[0];
        }
        if register == link::STATUS && std::mem::take(&mut wires.lost) {
            value &= !(1 << 2);
        }
        value
    }

    fn write(&mut self, address: u8, register: u8, value: u16) {
        let mut wires = self.0.borrow_mut();
        if wires.at == Some(address) {
            wires.registers[usize::from(register)] = value;
        }
    }
}

struct Port(Shared);

impl Mac for Port {
    fn set_mode(&mut self, mode: Mode) {
        self.0.borrow_mut().modes.push(mode);
    }
}

const UP: u16 = 1 << 5 | 1 << 2;
const FASTEST: Mode = Mode { fast: true, full_duplex: true };
const SLOWEST: Mode = Mode { fast: false, full_duplex: false };

fn start(at: Option<u8>, reset: Option<usize>) -> (Shared, Phy<Line, Port>, usize) {
    let mut wires = Wires { at, reset, ..Wires::default() };
    wires.registers[usize::from(link::IDENTIFIER)] = 0x0007;
    let wires = Rc::new(RefCell::new(wires));
    let mut phy = Phy::new(Line(wires.clone()), Port(wires.clone()));
    let mut pauses = 0;
    phy.reset(|| pauses += 1);
    phy.negotiate();
    (wires, phy, pauses)
}

#[test]
fn a_phy_is_found_at_any_address_and_negotiates() {
    for at in 0..32 {
        let (wires, _, pauses) = start(Some(at), Some(3));
        assert_eq!(pauses, 4);
        let registers = wires.borrow().registers;
        assert_eq!(registers[usize::from(link::CONTROL)], link::NEGOTIATE);
        assert_eq!(registers[usize::from(link::OFFERED)], link::ALL_MODES);
    }
}

#[test]
fn without_a_phy_there_is_no_link_and_no_wait() {
    let (_, mut phy, pauses) = start(None, Some(0));
    assert!(!phy.look());
    assert_eq!(pauses, 0);
}

#[test]
fn a_phy_that_does_not_end_its_reset_is_none() {
    let (wires, mut phy, pauses) = start(Some(1), None);
    wires.borrow_mut().registers[usize::from(link::STATUS)] = UP;
    wires.borrow_mut().registers[usize::from(link::OFFERED_THERE)] = 1 << 8;
    assert!(!phy.look());
    assert_eq!(pauses, RESET_LOOKS);
}

#[test]
fn the_mac_follows_the_link_and_is_told_of_changes_alone() {
    let (wires, mut phy, _) = start(Some(0), Some(0));
    assert!(!phy.look());
    let set = |register: u8, value| wires.borrow_mut().registers[usize::from(register)] = value;
    set(link::STATUS, UP);
    set(link::OFFERED_THERE, link::ALL_MODES);
    assert!(phy.look() && phy.look() && phy.is_up());
    assert_eq!(wires.borrow().modes, [FASTEST]);
    // The cable is moved to a hub between two looks: the link was lost, and is there again.
    wires.borrow_mut().lost = true;
    set(link::OFFERED_THERE, 1 << 5);
    assert!(!phy.look(), "the stack hears that it was lost");
    assert!(!phy.is_up());
    assert!(phy.look());
    assert_eq!(wires.borrow().modes, [FASTEST, SLOWEST]);
}
