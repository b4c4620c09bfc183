//! A LAN of boards in one thread, with a clock of its own: nothing in it takes time but what waits.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod chip;
pub(crate) mod clock;
pub(crate) mod dhcp;
pub(crate) mod switch;
pub(crate) mod usb;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::token::Token;
use deaddrop_firmware::app::{App, BoardStore, Indicator, Memory, Room, SOCKETS, Settings, Watchdog};
use deaddrop_firmware::board::{Neighbours, Network, Wire};
use deaddrop_firmware::mailbox::{Command, Event, FetchRequest, Mailbox, OfferSummary};
use deaddrop_firmware::store::Slot;
use deaddrop_firmware::values::Persist;
use deaddrop_provisioning::{Address, Ipv4Network};
use embassy_net::{Stack, StackResources};
use embassy_net_driver::Driver;
use rand_core::SeedableRng;
use switch::{Port, Switch};

/// `over_usb` is the tests of `two_boards` once more.
const OVER_USB: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"over_usb");

/// Time passes for this long before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Flag>,
}

/// What the lamp and the watchdog of a board have been told.
#[derive(Default)]
pub(crate) struct Signs {
    lit: Cell<bool>,
    since: Cell<Duration>,
    /// How long the lamp was lit before.
    before: Cell<Duration>,
    pub(crate) fed: Cell<u32>,
}

impl Signs {
    /// How long the lamp has been lit since the start.
    fn lit_for(&self) -> Duration {
        self.before.get() + if self.lit.get() { clock::now() - self.since.get() } else { Duration::ZERO }
    }
}

struct Lamp(Rc<Signs>);

impl Indicator for Lamp {
    fn set(&mut self, lit: bool) {
        self.0.before.set(self.0.lit_for());
        self.0.since.set(clock::now());
        self.0.lit.set(lit);
    }
}

struct Dog(Rc<Signs>);

impl Watchdog for Dog {
    fn feed(&mut self) {
        self.0.fed.set(self.0.fed.get() + 1);
    }
}

/// One board on the LAN.
#[derive(Clone)]
pub(crate) struct Board {
    pub(crate) number: usize,
    pub(crate) address: Ipv4Addr,
    pub(crate) stack: Stack<'static>,
    pub(crate) mailbox: &'static Mailbox,
    pub(crate) store: &'static RefCell<BoardStore>,
    pub(crate) signs: Rc<Signs>,
    /// Where its memory stands.
    pub(crate) memory: Range<usize>,
    /// What it has posted so far.
    pub(crate) events: Rc<RefCell<Vec<Event>>>,
}

impl Board {
    /// Sends a command.
    pub(crate) fn send(&self, command: Command) {
        let mut context = Context::from_waker(Waker::noop());
        let sent = std::pin::pin!(self.mailbox.send(command)).poll(&mut context);
        assert!(sent.is_ready(), "the queue has space for a command");
    }

    /// Puts something into its store, whole.
    pub(crate) fn keep(&self, kind: Kind, name: &str, bytes: &[u8]) -> Slot {
        let mut store = self.store.borrow_mut();
        let slot = store.reserve(&Name::new(name).unwrap(), kind, bytes.len() as u64).unwrap();
        store.write(slot, 0, bytes).unwrap();
        store.finish(slot).unwrap();
        slot
    }

    /// Offers something; the event about it gives the token.
    pub(crate) fn offer(&self, lan: &mut Lan, kind: Kind, name: &str, bytes: &[u8]) -> Token {
        let slot = self.keep(kind, name, bytes);
        let told = self.events.borrow().len();
        self.send(Command::Offer { slot, sent: true });
        lan.until_after(told, self, |event| match event {
            Event::Offering { drop: OfferSummary { token, .. }, .. } => Some(*token),
            Event::Failed { why, .. } => panic!("{why:?}"),
            _ => None,
        })
    }

    /// Has a drop fetched.
    pub(crate) fn fetch(&self, token: Token) {
        self.send(Command::Fetch(FetchRequest { token: token.into(), from: None }));
    }

    /// The bytes of what is here.
    pub(crate) fn bytes(&self, slot: Slot) -> Vec<u8> {
        self.store.borrow().bytes(slot).unwrap().to_vec()
    }

    /// How often these bytes stand in its memory.
    pub(crate) fn remembers(&self, bytes: &[u8]) -> usize {
        let mut memory = vec![0; self.memory.len()];
        let ourselves = std::fs::File::open("/proc/self/mem").expect("Linux");
        ourselves.read_exact_at(&mut memory, self.memory.start as u64).expect("it is there");
        memory.windows(bytes.len()).filter(|window| *window == bytes).count()
    }

    /// How many events of this sort there were.
    pub(crate) fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.borrow().iter().filter(|event| which(event)).count()
    }
}

fn fixed(address: Ipv4Addr) -> Address {
    Address::Static(Ipv4Network::new(address, 24, None).unwrap())
}

/// The LAN.
pub(crate) struct Lan {
    pub(crate) switch: Switch,
    tasks: Vec<Task>,
    boards: u8,
}

impl Lan {
    pub(crate) fn new() -> Self {
        Self { switch: Switch::new(), tasks: Vec::new(), boards: 0 }
    }

    /// A board that knows the room number `room`.
    pub(crate) fn board(&mut self, room: u8, settings: Settings) -> Board {
        self.board_running(room, settings, async move |mut app, lamp, dog| {
            app.run_without_console(lamp, dog).await;
        })
    }

    /// A board that is to get its address among `neighbours`.
    pub(crate) fn board_without_address(&mut self, neighbours: Neighbours) -> Board {
        let port = self.plugged(Address::Dhcp, neighbours);
        self.board_on(port, 1, Settings::default(), async move |mut app, lamp, dog| {
            app.run_without_console(lamp, dog).await;
        })
    }

    /// A board that was provisioned with this address.
    pub(crate) fn board_at(&mut self, address: Ipv4Addr, settings: Settings) -> Board {
        let port = self.plugged(fixed(address), Neighbours::Lan);
        self.board_on(port, 1, settings, async move |mut app, lamp, dog| {
            app.run_without_console(lamp, dog).await;
        })
    }

    /// A board with a product of its own, which uses the room. `persist` is where it has received drops written.
    pub(crate) fn product(
        &mut self,
        room: u8,
        persist: Option<&'static dyn Persist>,
        work: impl AsyncFnOnce(Room<'_>) + 'static,
    ) -> Board {
        self.board_running(room, Settings::default(), async move |mut app, lamp, dog| {
            if let Some(persist) = persist {
                app.persist_with(persist);
            }
            app.run_with(lamp, dog, work).await;
        })
    }

    fn board_running(
        &mut self,
        room: u8,
        settings: Settings,
        run: impl AsyncFnOnce(App, Lamp, Dog) + 'static,
    ) -> Board {
        let port = self.watched_stack();
        self.board_on(port, room, settings, run)
    }

    fn board_on(
        &mut self,
        (stack, address, wire): (Stack<'static>, Ipv4Addr, &'static Wire),
        room: u8,
        settings: Settings,
        run: impl AsyncFnOnce(App, Lamp, Dog) + 'static,
    ) -> Board {
        let memory = Box::leak(Box::new(Memory::new()));
        let begin = std::ptr::from_ref(memory).addr();
        let range = begin..begin + size_of::<Memory>();
        let rng = ChaCha20Rng::from_seed([self.boards; 32]);
        let mut app = App::new(stack, memory, RoomSecret::new([room; 32]).prs(), rng, settings);
        app.listen_to(wire);
        let (mailbox, store) = (app.mailbox(), app.store());
        let signs = Rc::new(Signs::default());
        let events = Rc::new(RefCell::new(Vec::new()));
        let (lamp, dog) = (Lamp(signs.clone()), Dog(signs.clone()));
        self.spawn(async move {
            run(app, lamp, dog).await;
        });
        let posted = events.clone();
        self.spawn(async move {
            loop {
                let next = mailbox.next_event().await;
                posted.borrow_mut().push(next);
            }
        });
        Board {
            number: usize::from(self.boards) - 1,
            address,
            stack,
            mailbox,
            store,
            signs,
            memory: range,
            events,
        }
    }

    /// A port for a board of the next number.
    pub(crate) fn port(&mut self) -> Port {
        self.boards += 1;
        self.switch.port()
    }

    /// A stack with an address and nothing on it.
    pub(crate) fn stack(&mut self) -> (Stack<'static>, Ipv4Addr) {
        let (stack, address, _) = self.watched_stack();
        (stack, address)
    }

    /// The same, and what counts its frames.
    fn watched_stack(&mut self) -> (Stack<'static>, Ipv4Addr, &'static Wire) {
        self.plugged(fixed(Ipv4Addr::new(10, 0, 0, self.boards + 1)), Neighbours::Lan)
    }

    /// A stack at a port of its own. Its address is that of `address`, or unspecified.
    fn plugged(
        &mut self,
        address: Address,
        neighbours: Neighbours,
    ) -> (Stack<'static>, Ipv4Addr, &'static Wire) {
        let wire: &'static Wire = Box::leak(Box::new(Wire::new()));
        let port = self.port();
        let stack = match chip::CHIP {
            None if OVER_USB => {
                let (_, device, _) = usb::attach(self, port);
                self.run(device, wire, address, neighbours)
            }
            None => self.run(port, wire, address, neighbours),
            Some(kind) => {
                let device = chip::attach(self, kind, port);
                self.run(device, wire, address, neighbours)
            }
        };
        let known = match address {
            Address::Static(network) => network.address(),
            Address::Dhcp => Ipv4Addr::UNSPECIFIED,
        };
        (stack, known, wire)
    }

    /// Runs a stack on a network device.
    fn run(
        &mut self,
        device: impl Driver + 'static,
        wire: &'static Wire,
        address: Address,
        neighbours: Neighbours,
    ) -> Stack<'static> {
        let resources = Box::leak(Box::new(StackResources::<{ SOCKETS + 1 }>::new()));
        let seed = u64::from(self.boards) * 77_777;
        let (stack, mut network) = Network::new(device, wire, address, neighbours, resources, seed);
        self.spawn(async move {
            network.run().await;
        });
        stack
    }

    /// Something else that runs.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.tasks.push(Task { future: Box::pin(future), woken: Arc::new(Flag(AtomicBool::new(true))) });
    }

    /// Runs what can run without time passing.
    fn turn(&mut self) {
        for _ in 0..100_000 {
            let mut idle = true;
            self.tasks.retain_mut(|task| {
                if !task.woken.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                idle = false;
                let waker = Waker::from(task.woken.clone());
                task.future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending
            });
            if idle {
                return;
            }
        }
        panic!("something wakes itself for ever at {:?}", clock::now());
    }

    /// Lets time pass until `is_so`, and gives what it found. Gives up after two minutes.
    pub(crate) fn when<T>(&mut self, mut is_so: impl FnMut() -> Option<T>) -> T {
        let limit = clock::now() + PATIENCE;
        loop {
            self.turn();
            if let Some(found) = is_so() {
                return found;
            }
            assert!(clock::advance(limit), "waited two minutes, for nothing");
        }
    }

    /// Lets time pass until a board posts an event that `which` picks. All events since its start count.
    pub(crate) fn until<T>(&mut self, board: &Board, which: impl FnMut(&Event) -> Option<T>) -> T {
        self.until_after(0, board, which)
    }

    /// The same, but the first `at` events do not count.
    pub(crate) fn until_after<T>(
        &mut self,
        mut at: usize,
        board: &Board,
        mut which: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let limit = clock::now() + PATIENCE;
        loop {
            self.turn();
            let events = board.events.borrow();
            while at < events.len() {
                at += 1;
                if let Some(found) = which(&events[at - 1]) {
                    return found;
                }
            }
            drop(events);
            assert!(clock::advance(limit), "waited two minutes; it only posted {:#?}", board.events.borrow());
        }
    }

    /// How long the lamp of a board is lit within one period of its code, in eighths of a second.
    pub(crate) fn eighths_lit(&mut self, board: &Board) -> u128 {
        let before = board.signs.lit_for();
        self.pass(Duration::from_secs(2));
        (board.signs.lit_for() - before).as_millis().div_ceil(125)
    }

    /// Lets this much time pass.
    pub(crate) fn pass(&mut self, span: Duration) {
        let limit = clock::now() + span;
        loop {
            self.turn();
            if !clock::advance(limit) {
                self.turn();
                return;
            }
        }
    }
}
