use super::*;
use crate::cli::{Host, Named};
use deaddrop::Fetches;
use std::time::Duration;

fn command(line: &[&str]) -> Command {
    match parse(line.iter().map(OsString::from)) {
        Ok(Parsed::Command(command)) => command,
        other => panic!("{line:?} gave {other:?}"),
    }
}

fn refusal(line: &[&str]) -> String {
    let failure = parse(line.iter().map(OsString::from)).expect_err("accepted");
    assert_eq!((failure.exit.code(), failure.code), (2, "usage"));
    failure.message
}

fn message(line: &[&str]) -> Option<String> {
    let Command::SendMsg(send) = command(line) else { panic!("not send-msg") };
    send.message.map(|text| text.expose().to_owned())
}

#[test]
fn the_lines_people_write_mean_what_they_say() {
    let Command::SendMsg(send) = command(&["send-msg", "--room", "R", "--ttl", "120", "hello"]) else {
        panic!()
    };
    assert_eq!(send.room.as_ref().map(|room| room.expose()), Some("R"));
    assert_eq!(send.ttl, Duration::from_secs(120));
    assert_eq!(send.message.as_ref().map(|text| text.expose()), Some("hello"));
    let Command::SendFile(send) = command(&["send-file", "a b", "--room=R=S", "--ttl", "300"]) else {
        panic!()
    };
    assert_eq!(send.paths, [std::path::PathBuf::from("a b")]);
    assert_eq!(send.room.as_ref().map(|room| room.expose()), Some("R=S"));
    let Command::SendFile(send) = command(&["send-file", "a", "--follow", "b", "--", "-c"]) else { panic!() };
    assert_eq!((send.paths.len(), send.follow, send.skip_unreadable), (3, true, false));
}

#[test]
fn a_dash_alone_is_standard_input_as_a_file() {
    for (line, reads_stdin) in
        [(&["send-file", "-"][..], true), (&["send-file", "--", "-"], true), (&["send-file", "./-"], false)]
    {
        let Command::SendFile(send) = command(line) else { panic!("{line:?}") };
        assert_eq!((send.reads_stdin(), send.paths.len()), (reads_stdin, 1), "{line:?}");
    }
    for line in [&["send-file", "-", "a"][..], &["send-file", "a", "-"], &["send-file", "-", "-"]] {
        assert!(refusal(line).contains("one by one"), "{line:?}");
    }
}

#[test]
fn defaults_are_the_contract() {
    let Command::SendMsg(send) = command(&["send-msg"]) else { panic!() };
    assert_eq!(
        (send.ttl.as_secs(), send.fetches, send.udp_port, send.tcp_port),
        (120, Fetches::Counted(1), 48_555, None)
    );
    let Command::SendFile(send) = command(&["send-file", "x"]) else { panic!() };
    assert_eq!((send.ttl.as_secs(), send.fetches), (300, Fetches::Counted(1)));
    let Command::Run(run) = command(&["run"]) else { panic!() };
    assert_eq!((run.auto_fetch, run.mdns), (AutoFetch::None, false));
    assert_eq!(run.limits(), crate::cli::Limits { size: 2 << 30, total: 10 << 30, free: 1 << 30 });
    for line in
        [&["run", "--mdns"][..], &["fetch", "--mdns"], &["send-msg", "--mdns"], &["send-file", "--mdns", "x"]]
    {
        let asked = match command(line) {
            Command::Run(run) => run.net().mdns,
            Command::Fetch(fetch) => fetch.net().mdns,
            Command::SendMsg(send) => send.net().mdns,
            Command::SendFile(send) => send.net().mdns,
            other => panic!("{other:?}"),
        };
        assert!(asked, "{line:?}");
    }
    let Command::Fetch(fetch) = command(&["fetch"]) else { panic!() };
    assert_eq!((fetch.wait, fetch.senders(), fetch.to_stdout()), (None, Vec::new(), false));
}

#[test]
fn dashes_are_messages_where_the_user_says_so() {
    assert_eq!(message(&["send-msg", "-"]).as_deref(), Some("-"));
    assert_eq!(message(&["send-msg", "--json", "-", "--quiet"]).as_deref(), Some("-"));
    assert_eq!(message(&["send-msg", "--", "--json"]).as_deref(), Some("--json"));
    assert_eq!(message(&["send-msg", "--ttl", "9", "--", "-x"]).as_deref(), Some("-x"));
    assert_eq!(message(&["send-msg", "help"]).as_deref(), Some("help"));
    assert_eq!(message(&["send-msg", ""]).as_deref(), Some(""));
    assert_eq!(message(&["send-msg", "a=b"]).as_deref(), Some("a=b"));
}

#[test]
fn help_is_given_wherever_it_is_asked_for() {
    let text = |line: &[&str]| match parse(line.iter().map(OsString::from)) {
        Ok(Parsed::Text(text)) => text,
        other => panic!("{line:?} gave {other:?}"),
    };
    for line in [&["--help"][..], &["-h"], &["help"]] {
        assert!(text(line).starts_with("Usage: deaddrop [--version]"), "{line:?}");
    }
    for line in [
        &["help", "send-msg"][..],
        &["--help", "send-msg", "hello"],
        &["send-msg", "hello", "-h", "--ttl", "5"],
        &["send-msg", "--help", "--ttl", "5"],
    ] {
        assert!(text(line).starts_with("Usage: deaddrop send-msg"), "{line:?}");
    }
    assert!(refusal(&["help", "sned-msg"]).contains("sned-msg"));
    assert_eq!(message(&["send-msg", "--room", "--help"]), None);
}

#[test]
fn a_value_may_look_like_an_option() {
    let Command::Run(run) = command(&["run", "--room", "--json"]) else { panic!() };
    assert_eq!((run.room.as_ref().map(|room| room.expose()), run.json), (Some("--json"), false));
}

#[test]
fn a_secret_given_wrongly_is_not_repeated() {
    for line in [
        &["run", "--room", "hunter2", "--room", "hunter3"][..],
        &["run", "--room=hunter2", "--room=hunter3"],
        &["send-msg", "hunter2", "hunter3"],
        &["run", "hunter2"],
    ] {
        assert!(!refusal(line).contains("hunter"), "{line:?}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    assert!(refusal(&["fetch", "--json", "--out", "-"]).contains("--out -"));
    assert!(refusal(&["fetch", "--port", "48556"]).contains("--from"));
    assert!(refusal(&["fetch", "--from", "10.0.0.7:1", "--port", "2"]).contains("different"));
    assert!(refusal(&["fetch", "--from", "bob,10.0.0.7:1", "--port", "2"]).contains("different"));
    assert!(refusal(&["fetch", "--token", "9f3"]).contains("26 characters"));
    assert!(refusal(&["run", "--json=yes"]).contains("no value"));
    assert!(refusal(&["run", "--auto-fetch", "all"]).contains("--out"));
    assert!(refusal(&["run", "--auto-fetch", "all", "--out", "-"]).contains("a folder that exists"));
    assert!(refusal(&["run", "--auto-fetch", "none", "--max-size", "1k"]).contains("--max-size is for"));
    assert!(refusal(&["send-file"]).contains("path"));
    assert!(refusal(&["run", "--room"]).contains("--room"));
}

#[test]
fn a_line_without_anything_is_told_how_to_begin() {
    let Ok(Parsed::Nothing(text)) = parse([]) else { panic!("not the overview") };
    for command in Cli::get_args_info().commands {
        assert!(text.contains(&format!("\n  {} ", command.name)), "{}", command.name);
    }
    assert!(text.lines().count() <= 16 && text.lines().all(|line| line.len() <= 90), "{text}");
}

#[test]
fn a_slip_is_answered_with_what_may_be_meant() {
    for (line, question) in [
        (&["sned-msg", "hello"][..], "did you mean send-msg?"),
        (&["help", "ftech"], "did you mean fetch?"),
        (&["send"], "did you mean send-msg or send-file?"),
        (&["run", "--rom", "x"], "did you mean --room?"),
        (&["fetch", "--output=x"], "did you mean --out?"),
    ] {
        assert!(refusal(line).contains(question), "{}", refusal(line));
    }
    assert!(refusal(&["fetch", "--ttl", "5"]).contains("--ttl, which is for send-msg and send-file;"));
    assert!(!refusal(&["receive"]).contains("mean"));
}

#[test]
fn a_flag_before_the_command_is_told_its_place() {
    assert!(refusal(&["--json", "run"]).contains("deaddrop run --json"));
    assert!(refusal(&["-vv", "run"]).contains("deaddrop run -vv"));
    assert!(refusal(&["--token=x", "fetch"]).contains("deaddrop fetch --token"));
    assert!(!refusal(&["--room=hunter2", "run"]).contains("hunter"), "the value may be a passphrase");
    assert!(refusal(&["--verzion"]).contains("did you mean --version?"));
}

#[test]
fn a_flag_of_another_command_is_refused() {
    assert!(refusal(&["run", "--words", "1"]).contains("--words"));
}

#[test]
fn a_command_of_commands_is_read_like_the_others() {
    let action = |line: &[&str]| match command(line) {
        Command::Room(room) => room.action,
        other => panic!("{line:?} gave {other:?}"),
    };
    let RoomAction::New(new) = action(&["room", "new", "--words=8", "--name", "work"]) else { panic!() };
    assert_eq!((new.words, new.name.map(|name| name.to_string()).as_deref()), (8, Some("work")));
    let RoomAction::New(new) = action(&["room", "new"]) else { panic!() };
    assert_eq!((new.words, new.name, new.out, new.qr), (6, None, None, false));
    let RoomAction::Add(add) = action(&["room", "add", "work", "--quiet"]) else { panic!() };
    assert_eq!((add.name.as_str(), add.quiet), ("work", true));
    assert!(matches!(action(&["room", "list", "--json"]), RoomAction::List(list) if list.json));
    for line in [&["help", "room", "new"][..], &["room", "help", "new"], &["room", "new", "-h"]] {
        let Ok(Parsed::Text(text)) = parse(line.iter().map(OsString::from)) else { panic!("{line:?}") };
        assert!(text.starts_with("Usage: deaddrop room new"), "{text}");
    }
    assert!(refusal(&["room"]).contains("new, add, list"));
    assert!(refusal(&["room", "nwe"]).contains("there is no command room nwe: did you mean new?"));
    assert!(refusal(&["room", "--json", "new"]).contains("as in deaddrop room new --json"));
    assert!(refusal(&["room", "add", "a", "hunter2"]).contains("never an argument"));
    assert!(!refusal(&["room", "add", "a", "hunter2"]).contains("hunter2"));
    assert!(refusal(&["room", "add", "a/b"]).contains("slash"));
    assert!(refusal(&["room", "new", "--name", "a", "--out", "b"]).contains("leave one out"));
    assert!(refusal(&["room", "new", "--json", "--qr"]).contains("leave one out"));
    assert!(refusal(&["room", "list", "--words", "8"]).contains("which is for room new"));
}

#[test]
fn the_trace_has_two_levels() {
    for (line, verbose) in
        [(&["run"][..], 0), (&["run", "-v"], 1), (&["run", "-vv"], 2), (&["run", "-v", "--verbose"], 2)]
    {
        assert_eq!(command(line).verbose(), verbose, "{line:?}");
    }
    assert_eq!(message(&["send-msg", "-vv", "--", "-v"]).as_deref(), Some("-v"));
    assert!(refusal(&["run", "-vx"]).contains("-vx"));
    assert!(refusal(&["run", "-v=1"]).contains("-v takes no value"));
}

#[test]
fn an_interface_may_be_named_more_than_once() {
    let Command::Run(run) = command(&["run", "--interface", "eth0", "--interface=eth1"]) else { panic!() };
    assert_eq!(run.net().interfaces, ["eth0", "eth1"]);
}

#[test]
fn either_flag_names_the_port_of_a_sender() {
    for line in [&["--from", "10.0.0.7", "--port", "48560"][..], &["--from=10.0.0.7:48560"]] {
        let Command::Fetch(fetch) = command(&[&["fetch"], line].concat()) else { panic!() };
        let host = Host::Address(std::net::Ipv4Addr::new(10, 0, 0, 7).into());
        assert_eq!(fetch.senders(), [Named { host, port: Some(48_560) }]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    let line = [OsString::from("send-file"), OsString::from_vec(vec![0xff, b'x'])];
    assert!(parse(line).is_err_and(|failure| failure.message.starts_with("argument 2 is not UTF-8")));
    let apart = ["board-page".into(), "--ssid".into(), OsString::from_vec(vec![0xff])];
    let joined = ["board-page".into(), OsString::from_vec(b"--ssid=\xff".to_vec())];
    for line in [&apart[..], &joined] {
        let refusal = parse(line.iter().cloned()).unwrap_err().message;
        assert_eq!(refusal, "the value of --ssid is not UTF-8: give one that is");
    }
}

#[test]
fn json_is_found_in_lines_that_are_otherwise_wrong() {
    assert!(wants_json(["bogus", "--json"].map(OsString::from)));
    assert!(!wants_json(["send-msg", "--", "--json"].map(OsString::from)));
}
