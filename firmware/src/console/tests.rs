extern crate std;

use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::net::Ipv4Addr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::format;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::token::Token;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use super::Console;
use super::line::LINE_MAX;
use crate::mailbox::{COMMANDS, Command, CommandError, EVENTS, Event, FetchRequest, Mailbox, OfferSummary};
use crate::store::{Label, State, Store};

const ROOM: usize = 2_048;
type Shelf = Store<ROOM, 4>;

#[derive(Clone, Copy, Debug)]
struct Broken;

impl core::fmt::Display for Broken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("broken")
    }
}

impl core::error::Error for Broken {}

impl embedded_io_async::Error for Broken {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// What a terminal program has at its end of the wire.
#[derive(Clone, Default)]
struct Wire {
    typed: Rc<RefCell<VecDeque<u8>>>,
    shown: Rc<RefCell<Vec<u8>>>,
    breaks: Rc<RefCell<bool>>,
}

impl ErrorType for Wire {
    type Error = Broken;
}

impl Read for Wire {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Broken> {
        poll_fn(|_| {
            if self.breaks.take() {
                return Poll::Ready(Err(Broken));
            }
            let mut typed = self.typed.borrow_mut();
            let count = to.len().min(typed.len());
            if count == 0 {
                return Poll::Pending;
            }
            to.iter_mut().zip(typed.drain(..count)).for_each(|(to, from)| *to = from);
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Wire {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        // Short writes are legal.
        let count = bytes.len().min(100);
        self.shown.borrow_mut().extend(&bytes[..count]);
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}

struct Bench {
    wire: Wire,
    mailbox: &'static Mailbox,
    store: &'static RefCell<Shelf>,
    console: Pin<Box<dyn Future<Output = Infallible>>>,
}

impl Bench {
    fn new() -> Self {
        let wire = Wire::default();
        let mailbox: &Mailbox = Box::leak(Box::default());
        let store: &RefCell<Shelf> = Box::leak(Box::new(RefCell::new(Store::new())));
        let mut console = Console::new(wire.clone());
        let console = Box::pin(async move { console.run(mailbox, store).await });
        let mut bench = Self { wire, mailbox, store, console };
        bench.turn();
        bench.shown();
        bench
    }

    /// Lets the console do all that it can.
    fn turn(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let before = (self.wire.typed.borrow().len(), self.wire.shown.borrow().len());
            for _ in 0..4 {
                assert!(self.console.as_mut().poll(&mut cx).is_pending());
            }
            if before == (self.wire.typed.borrow().len(), self.wire.shown.borrow().len()) {
                return;
            }
        }
    }

    /// What was sent to the terminal since this was last called.
    fn shown(&self) -> String {
        String::from_utf8(self.wire.shown.take()).unwrap()
    }

    fn type_in(&mut self, text: impl AsRef<[u8]>) -> String {
        self.wire.typed.borrow_mut().extend(text.as_ref());
        self.turn();
        self.shown()
    }

    /// Enters a line, and gives what was printed behind its echo and before the next prompt.
    fn enter(&mut self, line: &str) -> String {
        let shown = self.type_in(format!("{line}\r"));
        let printed = shown.strip_prefix(line).unwrap().strip_prefix("\r\n").unwrap();
        printed.strip_suffix("> ").unwrap().into()
    }

    fn post(&mut self, event: Event) -> String {
        self.mailbox.post(event);
        self.turn();
        self.shown()
    }

    fn order(&self) -> Option<Command> {
        let mut next = core::pin::pin!(self.mailbox.next_command());
        match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(order) => Some(order),
            Poll::Pending => None,
        }
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let store = self.store.borrow();
        store.find(name).and_then(|held| store.bytes(held.slot).map(<[u8]>::to_vec))
    }

    fn keep(&self, name: &str, kind: Kind, bytes: &[u8]) -> crate::store::Slot {
        let mut store = self.store.borrow_mut();
        let slot = store.reserve(&Name::new(name).unwrap(), kind, bytes.len() as u64).unwrap();
        store.write(slot, 0, bytes).unwrap();
        store.finish(slot).unwrap();
        slot
    }
}

/// What is on a terminal after it was sent `bytes`: enough of one for what a console may send.
fn screen(bytes: &str) -> Vec<String> {
    let mut rows: Vec<Vec<char>> = std::vec![Vec::new()];
    let mut column = 0_usize;
    let mut chars = bytes.chars();
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        match c {
            '\r' => column = 0,
            '\n' => rows.push(Vec::new()),
            '\x08' => column = column.saturating_sub(1),
            '\x07' => {}
            '\x1b' => {
                assert_eq!((chars.next(), chars.next()), (Some('['), Some('K')));
                row.truncate(column);
            }
            c => {
                assert!(!c.is_control(), "{c:?}");
                row.resize(row.len().max(column + 1), ' ');
                row[column] = c;
                column += 1;
            }
        }
    }
    rows.iter().map(|row| row.iter().collect::<String>().trim_end().into()).collect()
}

fn appeared() -> Event {
    let token = Token::from_bytes([0; 16]);
    let offer = OfferSummary {
        token,
        kind: Kind::Message,
        name: Label::default(),
        size: 5,
        ttl: Duration::from_secs(9),
    };
    Event::Appeared { offer, from: (Ipv4Addr::new(10, 0, 0, 7), 1).into() }
}

const APPEARED: [&str; 2] =
    ["message, 5 bytes from 10.0.0.7, for 9 s more", "  fetch 00000000000000000000000000"];

#[test]
fn commands_become_orders() {
    let mut bench = Bench::new();
    let host = Ipv4Addr::new(10, 0, 0, 7);
    let token = "7kqz".parse().unwrap();
    for (line, order) in [
        ("offers", Command::Offers),
        ("auto on", Command::Auto(true)),
        ("auto off", Command::Auto(false)),
        ("fetch 7kqz", Command::Fetch(FetchRequest { token, from: None })),
        ("fetch 7kqz from 10.0.0.7:99", Command::Fetch(FetchRequest { token, from: Some((host, Some(99))) })),
    ] {
        assert_eq!(bench.enter(line), "");
        assert_eq!(bench.order(), Some(order));
        assert_eq!(bench.order(), None);
    }
    assert_eq!(bench.enter("status"), "Kept here: 0, 2048 of 2048 bytes free\r\n");
    assert_eq!(bench.order(), Some(Command::Status));
    assert_eq!(bench.enter(""), "");
    assert_eq!(bench.enter("help"), super::command::HELP);
    let long = bench.enter(&"\u{200b}x".repeat(90));
    assert!(long.ends_with("...\": try help\r\n"), "{long}");
    assert_eq!(bench.enter("fly"), "there is no command \"fly\": try help\r\n");
    assert_eq!(bench.order(), None);
}

#[test]
fn what_is_sent_is_kept_until_it_is_fetched() {
    let mut bench = Bench::new();
    assert_eq!(bench.enter("send the code is 4711"), "");
    let slot = bench.store.borrow().find("message").unwrap().slot;
    assert_eq!(bench.order(), Some(Command::Offer { slot, sent: true }));
    assert_eq!(bench.bytes("message").unwrap(), b"the code is 4711");
    let held = bench.store.borrow().get(slot).map(|held| (held.kind, held.state));
    assert_eq!(held, Some((Kind::Message, State::Whole)));
}

#[test]
fn a_message_of_400_bytes_goes_and_no_longer_line_does() {
    let mut bench = Bench::new();
    let text = "m".repeat(400);
    assert_eq!(bench.enter(&format!("send {text}")), "");
    assert_eq!(bench.bytes("message").unwrap(), text.as_bytes());
    assert!(bench.order().is_some());
    let shown = bench.type_in(format!("send {text}x\r"));
    assert!(
        shown.ends_with("\x07\r\nNot done: a line has at most 405 bytes, and a message 400\r\n> "),
        "{shown}"
    );
    assert_eq!(bench.order(), None, "half a message is not sent");
    assert_eq!(bench.enter("list").lines().count(), 1);
}

#[test]
fn what_does_not_fit_is_said() {
    let mut bench = Bench::new();
    bench.keep("big", Kind::File, &[0; ROOM - 20]);
    assert_eq!(
        bench.enter("send more than there is room for"),
        "Not done: 27 bytes do not fit, at most 10 do: forget something first\r\n"
    );
    assert_eq!(bench.order(), None);
    assert_eq!(
        bench.enter("put a name that is too long to be kept"),
        "Not done: 0 bytes do not fit, at most 0 do: forget something first\r\n"
    );
    assert_eq!(bench.enter("list"), "#1 file \"big\", 2028 bytes\r\n");
}

#[test]
fn an_event_leaves_the_line_that_is_being_typed_as_it_is() {
    let mut bench = Bench::new();
    let mut shown = format!("> {}", bench.type_in("send thé"));
    shown += &bench.post(appeared());
    shown += &bench.type_in("\x7f\x7f");
    assert_eq!(screen(&shown), [APPEARED[0], APPEARED[1], "> send t"]);
    bench.type_in("o\r");
    assert_eq!(bench.bytes("message").unwrap(), b"to");
}

#[test]
fn keys_edit_the_line_on_the_terminal_as_in_memory() {
    let mut bench = Bench::new();
    let shown = format!("> {}", bench.type_in("lost\x15send a\x1b[Db\x08中\x7f\x7fz"));
    assert_eq!(screen(&shown), ["> send z"]);
    let shown = format!("> send z{}", bench.type_in("\x03list\r"));
    assert_eq!(screen(&shown), ["> send z^C", "> list", "Nothing is kept here", ">"]);
}

#[test]
fn a_received_message_is_printed_escaped() {
    let mut bench = Bench::new();
    let slot = bench.keep("", Kind::Message, b"one\n\x1b[2Jtwo\xff");
    let token = Token::from_bytes([0; 16]);
    let shown = bench.post(Event::Received { token, slot });
    assert_eq!(
        screen(&shown),
        ["Received message \"message\", 12 bytes, as #1:", "one", r"\u{1b}[2Jtwo\xff", ">"]
    );
    let slot = bench.keep("a\u{202e}.txt", Kind::File, b"x");
    let shown = bench.post(Event::Received { token, slot });
    assert_eq!(screen(&shown), [r#"Received file "a\u{202e}.txt", 1 byte, as #2: show #2"#, ">"]);
    bench.store.borrow_mut().remove(slot).unwrap();
    assert_eq!(screen(&bench.post(Event::Received { token, slot })), [">"], "it is gone already");
}

#[test]
fn an_entry_is_shown_whole_however_long() {
    let mut bench = Bench::new();
    let text = "é中🎉 und so weiter\n".repeat(60);
    bench.keep("long.txt", Kind::File, text.as_bytes());
    assert_eq!(bench.enter("show long.txt"), text.replace('\n', "\r\n"));
    assert_eq!(bench.enter("show #1"), text.replace('\n', "\r\n"));
    bench.keep("empty", Kind::File, b"");
    assert_eq!(bench.enter("show empty"), "");
    bench.keep("unended", Kind::File, b"x");
    assert_eq!(bench.enter("show unended"), "x\r\n");
}

#[test]
fn entries_are_named_or_numbered_and_others_are_not_there() {
    let mut bench = Bench::new();
    let first = bench.keep("a b.txt", Kind::File, b"x");
    let second = bench.keep("a b.txt", Kind::File, b"y");
    assert_eq!(bench.enter("list"), "#1 file \"a b.txt\", 1 byte\r\n#2 file \"a b (1).txt\", 1 byte\r\n");
    for (line, order) in [
        ("offer a b.txt", Command::Offer { slot: first, sent: false }),
        ("offer #2", Command::Offer { slot: second, sent: false }),
        ("forget a b (1).txt", Command::Forget { slot: second }),
        ("forget #1", Command::Forget { slot: first }),
    ] {
        assert_eq!(bench.enter(line), "");
        assert_eq!(bench.order(), Some(order));
    }
    for verb in ["show", "offer", "forget"] {
        assert_eq!(bench.enter(&format!("{verb} c")), "There is no \"c\" here: list shows what is\r\n");
        assert_eq!(bench.enter(&format!("{verb} #3")), "There is no #3 here: list shows what is\r\n");
        let long = bench.enter(&format!("{verb} {}", "\u{200b}x".repeat(90)));
        assert!(long.ends_with("...\" here: list shows what is\r\n"), "{long}");
    }
    let coming = bench.store.borrow_mut().reserve(&Name::new("c").unwrap(), Kind::File, 9).unwrap();
    assert_eq!(bench.enter("show c"), "Not all of \"c\" is here yet: try again when it is\r\n");
    assert!(bench.enter("list").contains("not all here yet"));
    assert_eq!(bench.enter("forget c"), "");
    assert_eq!(bench.order(), Some(Command::Forget { slot: coming }));
}

#[test]
fn lines_are_put_until_the_dot() {
    let mut bench = Bench::new();
    let shown = bench.type_in("put notes.txt\rone\r\ntwo\tcolumns\n\n..\n.\n");
    assert_eq!(bench.bytes("notes.txt").unwrap(), b"one\ntwo\tcolumns\n\n..\n");
    assert!(
        shown.contains("Lines, then one with nothing but a dot; Ctrl-C gives up\r\none\r\ntwo"),
        "{shown}"
    );
    assert!(shown.ends_with(".\r\nKept file \"notes.txt\", 20 bytes, as #1: offer #1\r\n> "), "{shown}");
    bench.type_in("put notes.txt\r.\r");
    assert_eq!(bench.bytes("notes (1).txt").unwrap(), b"");
}

#[test]
fn a_line_that_is_put_may_be_of_any_length() {
    let mut bench = Bench::new();
    // Also where the editor's limit falls into a character, and where a dot is all that is left of the line.
    for (number, text) in [
        "é".repeat(LINE_MAX),
        format!("{}.", "a".repeat(LINE_MAX - 3)),
        format!("{}.", "a".repeat(LINE_MAX - 4)),
        "b".repeat(LINE_MAX),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("f{number}");
        bench.type_in(format!("put {name}\r{text}\r.\r"));
        assert_eq!(bench.bytes(&name).unwrap(), format!("{text}\n").as_bytes());
        let slot = bench.store.borrow().find(&name).unwrap().slot;
        bench.store.borrow_mut().remove(slot).unwrap();
    }
}

#[test]
fn any_bytes_can_be_put_in_hex() {
    let mut bench = Bench::new();
    let bytes: Vec<u8> = (0..=255).collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bench.type_in(format!("put-hex key.bin\r{hex}\r\r00 FF\r.\r"));
    assert_eq!(bench.bytes("key.bin").unwrap(), [&bytes[..], &[0, 255]].concat());
    for wrong in ["0g", "0", "0 00 0 0", "é"] {
        let shown = bench.type_in(format!("put-hex bad\r{wrong}\r"));
        assert!(shown.contains("Not kept: a line is not two hex digits for each byte"), "{wrong}: {shown}");
        assert_eq!(bench.bytes("bad"), None);
        bench.type_in(".\r");
    }
}

#[test]
fn ctrl_c_gives_up_what_is_put_and_wipes_it() {
    let mut bench = Bench::new();
    let shown = bench.type_in("put secret\rthe code is 4711\rmore\x03");
    assert!(shown.ends_with("more^C\r\nNot kept\r\n> "), "{shown}");
    assert_eq!(bench.bytes("secret"), None);
    assert_eq!(bench.store.borrow().free(), ROOM);
    assert_eq!(bench.enter("list"), "Nothing is kept here\r\n");
}

#[test]
fn the_rest_of_a_paste_that_failed_is_not_taken_for_commands() {
    let mut bench = Bench::new();
    let kept = bench.keep("big", Kind::File, &[0; ROOM - 40]);
    let lines = "x".repeat(50);
    for (paste, why) in [
        (format!("put f\r{lines}\rforget #1\r{lines}\r"), "bytes do not fit"),
        ("put f\r\x1b[31mred\rforget #1\r".into(), "not all text"),
        ("put f\ra\0b\rforget #1\r".into(), "not all text"),
    ] {
        let shown = bench.type_in(&paste);
        assert!(shown.contains("Not kept: ") && shown.contains(why), "{shown}");
        assert!(bench.type_in(format!("{}\rforget #1\r", "y".repeat(1_000))).contains("forget"));
        assert_eq!(bench.type_in(format!("{}.\r", "y".repeat(LINE_MAX - 3))).matches("> ").count(), 0);
        assert_eq!(bench.order(), None);
        assert!(bench.type_in(".\r").ends_with("\r\n> "));
        assert_eq!(bench.enter("list"), "#1 file \"big\", 2008 bytes\r\n");
    }
    bench.wire.typed.borrow_mut().extend(b"put f\r\xff\xff");
    bench.turn();
    assert!(bench.shown().contains("not all text"));
    assert!(bench.type_in("\x03").ends_with("^C\r\n> "), "Ctrl-C is enough");
    assert_eq!(bench.enter("forget #1"), "");
    assert_eq!(bench.order(), Some(Command::Forget { slot: kept }));
}

#[test]
fn bytes_lost_on_the_wire_are_said_and_half_a_line_does_nothing() {
    let mut bench = Bench::new();
    bench.type_in("send half a se");
    bench.wire.breaks.replace(true);
    bench.turn();
    assert_eq!(bench.shown(), "\r\nBytes were lost on the console: type the line again\r\n> ");
    bench.type_in("cret\r");
    assert_eq!(bench.order(), None);
    bench.type_in("put f\rone\rtw");
    bench.wire.breaks.replace(true);
    bench.turn();
    assert!(bench.shown().contains("Not kept: bytes were lost on the console"));
    bench.type_in("o\r.\r");
    assert_eq!(bench.bytes("f"), None);
}

#[test]
fn an_event_in_the_middle_of_a_paste_does_not_get_into_it() {
    let mut bench = Bench::new();
    bench.type_in("put f\rone\rtw");
    let shown = bench.post(appeared());
    assert_eq!(screen(&shown), [APPEARED[0], APPEARED[1], "tw"]);
    bench.type_in("o\r.\r");
    assert_eq!(bench.bytes("f").unwrap(), b"one\ntwo\n");
}

#[test]
fn dropped_events_are_counted_on_the_terminal() {
    let mut bench = Bench::new();
    for _ in 0..EVENTS + 2 {
        bench.mailbox.post(Event::Auto(true));
    }
    bench.turn();
    assert!(bench.shown().contains("2 more events than could be printed: see offers and list"));
}

/// An app that waits for space in the queue of events takes no commands. The console must drain the events.
#[test]
fn orders_and_answers_do_not_wait_for_each_other() {
    let mut bench = Bench::new();
    bench.wire.typed.borrow_mut().extend("auto on\r".repeat(COMMANDS + 4).as_bytes());
    let mailbox = bench.mailbox;
    let mut network = Box::pin(async move {
        for _ in 0..COMMANDS + 4 {
            assert_eq!(mailbox.next_command().await, Command::Auto(true));
            for _ in 0..EVENTS + 2 {
                mailbox.reply(Event::Failed { token: None, why: CommandError::Unknown }).await;
            }
        }
    });
    let mut cx = Context::from_waker(Waker::noop());
    let done = (0..100).any(|_| {
        bench.turn();
        network.as_mut().poll(&mut cx).is_ready()
    });
    assert!(done);
    bench.turn();
    assert_eq!(bench.shown().matches("Not done: no offer").count(), (COMMANDS + 4) * (EVENTS + 2));
}
