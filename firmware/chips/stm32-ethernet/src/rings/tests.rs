#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::boxed::Box;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use super::*;

const RX: usize = 4;
const TX: usize = 3;

/// One side of the DMA: it reads ahead up to the tail, and must never meet a descriptor that is not its own.
struct Channel {
    descriptors: &'static [Descriptor],
    buffers: &'static [Buffer],
    at: usize,
    tail: u32,
    /// The descriptor that it has read and not used.
    fetched: Option<[u32; 4]>,
}

impl Channel {
    fn new(ring: &Ring<'static>, list: List) -> Self {
        assert_eq!(list.first, address(&ring.descriptors[0]));
        assert_eq!(usize::from(list.last) + 1, ring.descriptors.len());
        let (descriptors, buffers) = (ring.descriptors, ring.buffers);
        Self { descriptors, buffers, at: 0, tail: list.tail, fetched: None }
    }

    /// Reads the descriptor that it is at, as soon as it may.
    fn fetch(&mut self) {
        let descriptor = &self.descriptors[self.at];
        assert!(self.descriptors.iter().any(|any| address(any) == self.tail), "a tail outside of the ring");
        if self.fetched.is_some() || address(descriptor) == self.tail {
            return;
        }
        let words = [0, 1, 2, 3].map(|word| descriptor.get(word));
        assert!(words[3] & OWN != 0, "the DMA reads descriptor {}, which is being written", self.at);
        self.fetched = Some(words);
    }

    fn buffer(&self, words: [u32; 4]) -> &'static Buffer {
        let found = self.buffers.iter().find(|buffer| address(*buffer) == words[0]);
        found.expect("the address of a buffer")
    }

    /// Writes the fourth word back, and goes on to the next.
    fn done(&mut self, control: u32) {
        let descriptor = &self.descriptors[self.at];
        // What it writes back over the address: VLAN tags.
        descriptor.set(0, 0xDEAD_BEEF);
        descriptor.set(3, control);
        self.at = (self.at + 1) % self.descriptors.len();
        self.fetched = None;
        self.fetch();
    }
}

/// MAC and DMA.
struct Model {
    receive: Channel,
    transmit: Channel,
    /// Frames that wait for a descriptor, with the bits that say what is wrong with them.
    waiting: VecDeque<(Vec<u8>, u32)>,
    sent: Vec<Vec<u8>>,
    /// Frames are not sent meanwhile.
    busy: bool,
}

impl Model {
    fn start() -> (Rings<'static>, Self) {
        let memory: &'static mut Memory<RX, TX> = Box::leak(Box::new(Memory::new()));
        let mut rings = memory.rings();
        let (receive, transmit) = rings.begin();
        let mut model = Self {
            receive: Channel::new(&rings.receive, receive),
            transmit: Channel::new(&rings.transmit, transmit),
            waiting: VecDeque::new(),
            sent: Vec::new(),
            busy: false,
        };
        model.run();
        (rings, model)
    }

    fn arrive(&mut self, frame: &[u8], control: u32) {
        self.waiting.push_back((frame.to_vec(), control));
        self.run();
    }

    fn run(&mut self) {
        self.receive.fetch();
        while let Some(words) = self.receive.fetched
            && let Some((frame, control)) = self.waiting.pop_front()
        {
            assert!(words[3] & (BUFFER_VALID | RECEIVE_INTERRUPT) == BUFFER_VALID | RECEIVE_INTERRUPT);
            self.receive.buffer(words).write(&frame);
            self.receive.done(control | u32::try_from(frame.len()).unwrap());
        }
        self.transmit.fetch();
        while !self.busy
            && let Some(words) = self.transmit.fetched
        {
            let length = words[2] & 0x3FFF;
            assert_eq!(words[3], OWN | FIRST | LAST | length);
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            self.transmit.buffer(words).read(&mut frame);
            self.sent.push(frame);
            self.transmit.done(0);
        }
    }
}

impl Tails for Model {
    fn set_receive_tail(&mut self, address: u32) {
        self.receive.tail = address;
        self.run();
    }

    fn set_transmit_tail(&mut self, address: u32) {
        self.transmit.tail = address;
        self.run();
    }
}

const WHOLE: u32 = FIRST | LAST;

fn frame(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n % 250).unwrap() ^ number).collect()
}

fn take(rings: &mut Rings<'static>, model: &mut Model) -> Option<Vec<u8>> {
    if !rings.can_send() || !rings.has_received(model) {
        return None;
    }
    let (received, _) = rings.both(model);
    Some(received.consume(|frame| frame.to_vec()))
}

fn send(rings: &mut Rings<'static>, model: &mut Model, frame: &[u8]) -> bool {
    let can = rings.can_send();
    if can {
        rings.to_send(model).consume(frame.len(), |place| place.copy_from_slice(frame));
    }
    can
}

#[test]
fn frames_of_every_length_go_both_ways() {
    let (mut rings, mut model) = Model::start();
    for length in 1..=MTU {
        let came = frame(1, length);
        model.arrive(&came, WHOLE);
        assert_eq!(take(&mut rings, &mut model), Some(came));
        let goes = frame(2, length);
        assert!(send(&mut rings, &mut model, &goes));
        assert_eq!(model.sent.pop(), Some(goes));
    }
    assert_eq!(take(&mut rings, &mut model), None);
}

#[test]
fn frames_wait_while_the_ring_is_full_and_none_is_lost_or_changed() {
    let (mut rings, mut model) = Model::start();
    for burst in 1..40 {
        let came: Vec<_> = (0..burst).map(|n| frame(n, 60 + usize::from(n))).collect();
        came.iter().for_each(|frame| model.arrive(frame, WHOLE));
        assert_eq!(model.waiting.len(), usize::from(burst).saturating_sub(RX - 1), "one descriptor is ours");
        let taken: Vec<_> = std::iter::from_fn(|| take(&mut rings, &mut model)).collect();
        assert_eq!(taken, came);
    }
}

#[test]
fn a_ring_to_send_is_never_filled_to_the_last() {
    let (mut rings, mut model) = Model::start();
    for round in 0..20 {
        model.busy = true;
        let goes: Vec<_> = (0..3).map(|n| frame(n, 100 + round)).collect();
        let taken: Vec<_> = goes.iter().filter(|frame| send(&mut rings, &mut model, frame)).collect();
        assert_eq!(taken.len(), TX - 1);
        assert_eq!(rings.burst(), TX - 1);
        // Nor can a received frame be answered: it waits.
        model.arrive(&frame(9, 80), WHOLE);
        assert_eq!(take(&mut rings, &mut model), None);
        model.busy = false;
        model.run();
        assert_eq!(std::mem::take(&mut model.sent), goes[..TX - 1]);
        assert_eq!(take(&mut rings, &mut model), Some(frame(9, 80)));
    }
}

#[test]
fn a_frame_is_answered_while_it_is_looked_at() {
    let (mut rings, mut model) = Model::start();
    model.arrive(&frame(1, 200), WHOLE);
    assert!(rings.can_send() && rings.has_received(&mut model));
    let (received, to_send) = rings.both(&mut model);
    received.consume(|frame| to_send.consume(frame.len(), |answer| answer.copy_from_slice(frame)));
    assert_eq!(model.sent, [frame(1, 200)]);
}

#[test]
fn what_is_broken_or_in_pieces_is_dropped_and_its_descriptors_go_back() {
    let (mut rings, mut model) = Model::start();
    for _ in 0..5 {
        for control in [WHOLE | ERROR, FIRST, 0, LAST, WHOLE | CONTEXT] {
            model.arrive(&frame(1, 100), control);
        }
        model.arrive(&frame(2, 100), WHOLE);
        assert_eq!(take(&mut rings, &mut model), Some(frame(2, 100)));
        assert_eq!(take(&mut rings, &mut model), None);
        assert!(model.waiting.is_empty());
    }
}

#[test]
fn a_length_beyond_the_buffer_is_no_frame() {
    let (mut rings, mut model) = Model::start();
    model.arrive(&frame(1, BUFFER), WHOLE);
    assert_eq!(take(&mut rings, &mut model), Some(frame(1, BUFFER)));
    model.arrive(&[], WHOLE | 0x7FFF);
    assert_eq!(take(&mut rings, &mut model), Some(Vec::new()));
    model.arrive(&frame(2, 60), WHOLE);
    assert_eq!(take(&mut rings, &mut model), Some(frame(2, 60)));
}
