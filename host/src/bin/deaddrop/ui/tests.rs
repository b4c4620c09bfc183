use super::*;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use deaddrop::{Address, EndReason, Endpoint, Kind, Lapse, Name, Token};
use smol::block_on;

/// A stream that can be read back.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe whose reader has gone.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const TOKEN: Token = Token::from_bytes([0; 16]);
const TOKEN_TEXT: &str = "00000000000000000000000000";
/// This machine, as others reach it and as it reaches itself.
static HERE: LazyLock<[Address; 2]> =
    LazyLock::new(|| [Ipv4Addr::new(192, 168, 1, 7).into(), Ipv4Addr::LOCALHOST.into()]);

fn ip() -> Address {
    HERE[0]
}

fn shown(json: bool, quiet: bool, terminal: bool, event: &Event<'_>) -> (String, String) {
    let (out, err) = (Page::default(), Page::default());
    let ui = Ui::with_streams(
        json,
        quiet,
        terminal,
        &Signals::default(),
        Box::new(out.clone()),
        Box::new(err.clone()),
    );
    block_on(ui.show(event)).unwrap();
    (out.text(), err.text())
}

fn json(event: &Event<'_>) -> String {
    let (out, err) = shown(true, false, true, event);
    assert_eq!(err, "", "with --json everything is on standard output");
    assert_eq!(out.matches('\n').count(), 1);
    testbed::events::event(&out);
    out.trim_end().to_owned()
}

fn received<'a>(name: &'a Name, content: Content<'a>) -> Event<'a> {
    Event::Received { token: TOKEN, kind: Kind::Message, name, size: 3, content }
}

fn offer(name: &Name) -> Event<'_> {
    Event::Offer {
        token: TOKEN,
        from: Endpoint(ip().at(48_556)),
        kind: Kind::File,
        name,
        size: 12,
        ttl: Duration::from_millis(119_500),
    }
}

fn ready(name: &Name) -> Event<'_> {
    let serving = Serving {
        files: None,
        port: 48_556,
        token: TOKEN,
        kind: Kind::File,
        name,
        size: 1,
        ttl: Duration::from_secs(300),
    };
    Event::Ready { addresses: &*HERE, serving: Some(serving), again: false }
}

#[test]
fn json_fields_are_the_contract() {
    let name = Name::new("a.txt").unwrap();
    let t = TOKEN_TEXT;
    assert_eq!(
        json(&ready(&name)),
        format!(
            r#"{{"event":"ready","addresses":["192.168.1.7","127.0.0.1"],"port":48556,"token":"{t}","kind":"file","name":"a.txt","size":1,"ttl_ms":300000}}"#
        )
    );
    assert_eq!(
        json(&Event::Ready { addresses: &[ip()], serving: None, again: false }),
        r#"{"event":"ready","addresses":["192.168.1.7"]}"#
    );
    assert_eq!(
        json(&offer(&name)),
        format!(
            r#"{{"event":"offer","token":"{t}","from":"192.168.1.7:48556","kind":"file","name":"a.txt","size":12,"ttl_ms":119500}}"#
        )
    );
    assert_eq!(
        json(&received(&name, Content::Message(b"a\"b"))),
        format!(
            r#"{{"event":"received","token":"{t}","kind":"message","name":"a.txt","size":3,"text":"a\"b"}}"#
        )
    );
    assert_eq!(
        json(&received(&name, Content::Message(b"\xff\x00\x01"))),
        format!(
            r#"{{"event":"received","token":"{t}","kind":"message","name":"a.txt","size":3,"base64":"/wAB"}}"#
        )
    );
    assert_eq!(
        json(&received(&name, Content::Saved(Path::new("x/a.txt")))),
        format!(
            r#"{{"event":"received","token":"{t}","kind":"message","name":"a.txt","size":3,"path":"x/a.txt"}}"#
        )
    );
    assert_eq!(
        json(&Event::Fetched { token: TOKEN, by: ip(), size: 9, fetched: 2, of: Some(3) }),
        format!(r#"{{"event":"fetched","token":"{t}","by":"192.168.1.7","size":9,"fetched":2,"of":3}}"#)
    );
    assert_eq!(
        json(&Event::Fetched { token: TOKEN, by: ip(), size: 9, fetched: 300, of: None }),
        format!(r#"{{"event":"fetched","token":"{t}","by":"192.168.1.7","size":9,"fetched":300}}"#)
    );
    assert_eq!(
        json(&Event::Claimed { token: TOKEN, by: ip() }),
        format!(r#"{{"event":"claimed","token":"{t}","by":"192.168.1.7"}}"#)
    );
    let lapses =
        [Lapse::Released, Lapse::Silent, Lapse::Slow, Lapse::NotReady, Lapse::Grace, Lapse::WrongPrefix];
    for (why, word) in
        lapses.into_iter().zip(["released", "silent", "slow", "not-ready", "grace", "wrong-prefix"])
    {
        assert_eq!(
            json(&Event::Lapsed { token: TOKEN, by: ip(), why }),
            format!(r#"{{"event":"lapsed","token":"{t}","by":"192.168.1.7","why":"{word}"}}"#)
        );
    }
    let executed = |code, signal, timed_out| json(&Event::Executed { token: TOKEN, code, signal, timed_out });
    assert_eq!(
        executed(Some(3), None, false),
        format!(r#"{{"event":"executed","token":"{t}","code":3,"timed_out":false}}"#)
    );
    assert_eq!(
        executed(None, Some(15), true),
        format!(r#"{{"event":"executed","token":"{t}","signal":15,"timed_out":true}}"#)
    );
    assert_eq!(json(&expired(2, None)), format!(r#"{{"event":"expired","token":"{t}"}}"#));
    assert_eq!(
        json(&Event::Warning { code: "guessing", message: "m" }),
        r#"{"event":"warning","code":"guessing","message":"m"}"#
    );
    assert_eq!(
        json(&Event::Error { code: "usage", message: "m" }),
        r#"{"event":"error","code":"usage","message":"m"}"#
    );
    let ends = [EndReason::Fetched, EndReason::Expired, EndReason::Withdrawn, EndReason::Lost];
    for (end, word) in ends.into_iter().zip(["fetched", "expired", "withdrawn", "lost"]) {
        assert_eq!(
            json(&Event::Gone { token: TOKEN, reason: end }),
            format!(r#"{{"event":"gone","token":"{t}","reason":"{word}"}}"#)
        );
    }
}

#[test]
fn a_peers_words_stay_inside_their_json_string() {
    let name = Name::new("a\"},\n{\"event\":\"error\",\u{1b}\u{202e}").unwrap();
    let line = json(&offer(&name));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["event"], "offer");
    assert_eq!(value["name"], name.as_str());
    assert_eq!(value.as_object().unwrap().len(), 7);
}

#[test]
fn json_of_the_worst_message_fits_its_buffer() {
    let bytes = vec![1_u8; 64 * 1024];
    let name = Name::new(&"\u{1}".repeat(255)).unwrap();
    let line = received(&name, Content::Message(&bytes)).to_json();
    assert!(line.len() > bytes.len() * 6 && line.len() < bytes.len() * 6 + 8 * 1024);
}

#[test]
fn an_offer_can_be_fetched_by_copying_its_line() {
    let name = Name::new("a.txt").unwrap();
    let (out, err) = shown(false, false, true, &offer(&name));
    assert_eq!(err, "");
    assert_eq!(
        out,
        format!(
            "file \"a.txt\", 12 bytes, for 119 s more\n  deaddrop fetch --from 192.168.1.7:48556 --token {TOKEN_TEXT}\n"
        )
    );
    let (out, err) = shown(false, false, true, &ready(&name));
    assert_eq!(out, "");
    assert!(
        err.contains(&format!("deaddrop fetch --from 192.168.1.7:48556 --token {TOKEN_TEXT}\n")),
        "{err}"
    );
    assert!(!err.contains("127.0.0.1"), "{err}");
}

#[test]
fn names_and_errors_are_escaped_for_people() {
    let name = Name::new("\u{1b}[2Jgnp.\u{202e}exe\n").unwrap();
    for event in [offer(&name), ready(&name), Event::Error { code: "failed", message: name.as_str() }] {
        let (out, err) = shown(false, false, false, &event);
        assert!((out + &err).contains(r"\u{1b}[2Jgnp.\u{202e}exe\u{a}"));
    }
    let (_, err) = shown(false, false, true, &received(&name, Content::Saved(Path::new("a\u{1b}b"))));
    assert!(err.contains(r"a\u{1b}b"));
}

#[test]
fn a_message_is_verbatim_except_on_a_terminal() {
    let name = Name::default();
    let event = received(&name, Content::Message(b"a\x1b[1mb\nc\td"));
    assert_eq!(shown(false, true, false, &event).0, "a\x1b[1mb\nc\td");
    assert_eq!(shown(false, true, true, &event).0, "a\\u{1b}[1mb\nc\td\n");
    let ended = received(&name, Content::Message(b"a\n"));
    assert_eq!(shown(false, false, true, &ended).0, "a\n", "one line end is enough");
}

#[test]
fn quiet_hides_notices_and_nothing_else() {
    let name = Name::default();
    let notices = [ready(&name), expired(0, None), Event::Warning { code: "c", message: "m" }];
    for event in &notices {
        assert_ne!(shown(false, false, true, event).1, "");
        assert_eq!(shown(false, true, true, event), (String::new(), String::new()));
    }
    assert_ne!(shown(false, true, true, &offer(&name)).0, "");
    assert_ne!(shown(false, true, true, &Event::Error { code: "c", message: "m" }).1, "");
    assert_ne!(shown(false, true, true, &received(&name, Content::Saved(Path::new("x")))).1, "");
}

#[test]
fn a_sender_for_several_says_how_many_have_it() {
    let said = |fetched, of| {
        shown(false, false, true, &Event::Fetched { token: TOKEN, by: ip(), size: 9, fetched, of }).1
    };
    assert_eq!(said(1, Some(1)), "Fetched by 192.168.1.7, 9 bytes\n");
    assert_eq!(said(2, Some(3)), "Fetched by 192.168.1.7, 9 bytes (2 of 3 fetched)\n");
    assert_eq!(said(65, None), "Fetched by 192.168.1.7, 9 bytes (65 fetched)\n");
}

fn expired(fetched: u64, of: Option<u8>) -> Event<'static> {
    Event::Expired { token: TOKEN, fetched, of }
}

#[test]
fn the_end_of_the_time_says_how_many_have_the_drop() {
    let said =
        |fetched, of| shown(false, false, true, &expired(fetched, of)).1.replace(&TOKEN.to_string(), "T");
    assert_eq!(said(0, Some(1)), "Expired: T\n");
    assert_eq!(said(0, None), "Expired: T\n");
    assert_eq!(said(1, Some(3)), "Expired (1 of 3 fetched): T\n");
    assert_eq!(said(1, None), "Ended at its TTL, fetched once: T\n");
    assert_eq!(said(2, None), "Ended at its TTL, fetched 2 times: T\n");
}

#[test]
fn where_no_network_is_up_that_is_said() {
    let said = |addresses: &[Address], serving: bool| {
        let name = Name::default();
        let Event::Ready { serving: ours, again, .. } = ready(&name) else { unreachable!() };
        let event = Event::Ready { addresses, serving: ours.filter(|_| serving), again };
        shown(false, false, true, &event).1
    };
    let loopback = Address::from(IpAddr::from([127, 0, 0, 1]));
    let end = "No network is in use but loopback, so only this machine can fetch the drop: join a network; if --interface is \
               given, name its interface too\n";
    assert!(said(&[loopback], true).ends_with(end));
    assert!(!said(&[ip(), loopback], true).contains("No network"));
    let alone = "Listening on 127.0.0.1; interrupt to stop.\nNo network is in use but loopback, so only this machine is heard: join a \
                 network; if --interface is given, name its interface too\n";
    assert_eq!(said(&[loopback], false), alone);
    assert_eq!(said(&[ip()], false), "Listening on 192.168.1.7; interrupt to stop.\n");
    assert_eq!(said(&[], false), "Listening on no network yet; interrupt to stop.\n");
}

#[test]
fn claims_are_told_to_scripts_alone() {
    let claimed = Event::Claimed { token: TOKEN, by: ip() };
    let lapsed = Event::Lapsed { token: TOKEN, by: ip(), why: Lapse::Silent };
    for event in [&claimed, &lapsed] {
        assert_eq!(shown(false, false, true, event), (String::new(), String::new()));
    }
}

#[test]
fn a_closed_pipe_is_a_failure_and_not_a_panic() {
    let ui = Ui::with_streams(true, false, false, &Signals::default(), Box::new(Broken), Box::new(Broken));
    let failure = block_on(ui.show(&expired(0, None))).unwrap_err();
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "output"));
    assert_eq!(block_on(ui.copy_out(&b"drop"[..])), Err(failure.clone()));
    assert_eq!(block_on(ui.fail(&failure)), Exit::Failed);
}

#[test]
fn a_drop_is_copied_out_as_it_is() {
    let out = Page::default();
    let ui =
        Ui::with_streams(false, true, true, &Signals::default(), Box::new(out.clone()), Box::new(io::sink()));
    let bytes = "x\u{1b}".repeat(100_000);
    block_on(ui.copy_out(io::Cursor::new(bytes.clone()))).unwrap();
    assert_eq!(out.text(), bytes);
}

#[test]
fn quiet_has_no_progress_for_scripts_either() {
    for quiet in [false, true] {
        let sink = || Box::new(io::sink());
        let ui = Ui::with_streams(true, quiet, false, &Signals::default(), sink(), sink());
        assert_eq!(ui.shows_progress(), !quiet);
    }
}
