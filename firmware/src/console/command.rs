//! Parses a line into a command.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use deaddrop_core::offer::Name;
use deaddrop_core::text;
use deaddrop_core::token::TokenError;

use super::render::Quoted;
use crate::mailbox::FetchRequest;

/// What `help` prints. Tabs, which stop at every eighth column, take less flash than blanks.
pub const HELP: &str = "\
offers\t\t\twhat can be fetched in the room\r
fetch TOKEN\t\tfetch it; the first 4 characters will do\r
fetch TOKEN from IP\tthe same from an address, or IP:PORT, that no offer was heard from\r
send TEXT\t\toffer a message\r
put NAME\t\tkeep the lines that follow as a file, until a line with nothing but a dot;\r
\t\t\teach line ends with LF, Ctrl-C gives up\r
put-hex NAME\t\tthe same, the lines being bytes in hex\r
list\t\t\twhat is kept here\r
show NAME\t\tprint it\r
offer NAME\t\tlet others fetch it; once fetched or expired, it is gone from here\r
forget NAME\t\twipe it\r
auto on | auto off\tfetch messages as they are offered, or do not\r
status\t\t\tnetwork, room and memory\r
Where a NAME is wanted, its number in the list will do: show #1\r
";

/// A parsed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleCommand<'a> {
    /// An empty line.
    Nothing,
    /// Print the help.
    Help,
    /// Print the state of network, room and store.
    Status,
    /// List the offers of the room.
    Offers,
    /// Fetch a drop.
    Fetch(FetchRequest),
    /// Offer a message.
    Send(&'a str),
    /// Store the following lines as a file.
    Put {
        /// Its name, legal for a drop.
        name: &'a str,
        /// Whether the lines are bytes in hex.
        hex: bool,
    },
    /// List the store.
    List,
    /// Print an entry.
    Show(Which<'a>),
    /// Offer an entry.
    Offer(Which<'a>),
    /// Wipe an entry.
    Forget(Which<'a>),
    /// Whether to fetch messages as they are offered.
    Auto(bool),
}

/// An entry of the store, as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// By its name.
    Name(&'a str),
    /// By its number in the list, from 1 on. Other numbers name no entry.
    Number(usize),
}

impl fmt::Display for Which<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{}", Quoted(name)),
            Self::Number(number) => write!(f, "#{number}"),
        }
    }
}

/// Why a line is no command. `Display` says what is wrong and what to type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError<'a> {
    /// There is no such command.
    Unknown(&'a str),
    /// The arguments are wrong. Holds the correct form.
    Usage(&'static str),
    /// Not a token.
    Token(TokenError),
    /// Not an IPv4 address with an optional port.
    Address(&'a str),
    /// Not a legal name of a drop.
    Name,
}

impl fmt::Display for ParseError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "there is no command {}: try help", Quoted(word)),
            Self::Usage(usage) => write!(f, "say it like this: {usage}"),
            Self::Token(TokenError::Length) => {
                f.write_str("a token has 26 characters, of which the first 4 or more will do: see offers")
            }
            Self::Token(TokenError::Character(c)) => {
                let mut bytes = [0; 4];
                let c = text::line(c.encode_utf8(&mut bytes));
                write!(f, "\"{c}\" cannot stand there in a token: see offers")
            }
            Self::Token(error) => error.fmt(f),
            Self::Address(word) => {
                write!(f, "{} is no IPv4 address, such as 192.168.1.20: see offers", Quoted(word))
            }
            Self::Name => f.write_str("a name has at most 255 bytes and no slash: give another"),
        }
    }
}

impl core::error::Error for ParseError<'_> {}

/// Parses a line.
pub fn parse(line: &str) -> Result<ConsoleCommand<'_>, ParseError<'_>> {
    let line = line.trim_start();
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let arguments = rest.trim();
    let alone =
        |command, usage| if arguments.is_empty() { Ok(command) } else { Err(ParseError::Usage(usage)) };
    match word {
        "" => Ok(ConsoleCommand::Nothing),
        "help" | "?" => Ok(ConsoleCommand::Help),
        "status" => alone(ConsoleCommand::Status, "status"),
        "offers" => alone(ConsoleCommand::Offers, "offers"),
        "list" => alone(ConsoleCommand::List, "list"),
        "fetch" => fetch(arguments),
        // A message keeps everything after the one space behind the command.
        "send" if arguments.is_empty() => Err(ParseError::Usage("send TEXT")),
        "send" => Ok(ConsoleCommand::Send(rest)),
        "put" => put(arguments, false, "put NAME"),
        "put-hex" => put(arguments, true, "put-hex NAME"),
        "show" => which(arguments, "show NAME, or show #NUMBER").map(ConsoleCommand::Show),
        "offer" => which(arguments, "offer NAME, or offer #NUMBER").map(ConsoleCommand::Offer),
        "forget" => which(arguments, "forget NAME, or forget #NUMBER").map(ConsoleCommand::Forget),
        "auto" => match arguments {
            "on" => Ok(ConsoleCommand::Auto(true)),
            "off" => Ok(ConsoleCommand::Auto(false)),
            _ => Err(ParseError::Usage("auto on, or auto off")),
        },
        word => Err(ParseError::Unknown(word)),
    }
}

fn fetch(arguments: &str) -> Result<ConsoleCommand<'_>, ParseError<'_>> {
    const USAGE: ParseError<'_> = ParseError::Usage("fetch TOKEN, or fetch TOKEN from IP");
    let mut words = arguments.split_whitespace();
    let token = words.next().ok_or(USAGE)?.parse().map_err(ParseError::Token)?;
    let from = match (words.next(), words.next(), words.next()) {
        (None, None, None) => None,
        (Some("from"), Some(address), None) => Some(place(address).ok_or(ParseError::Address(address))?),
        _ => return Err(USAGE),
    };
    Ok(ConsoleCommand::Fetch(FetchRequest { token, from }))
}

fn place(word: &str) -> Option<(Ipv4Addr, Option<u16>)> {
    let whole: Option<SocketAddrV4> = word.parse().ok();
    match whole {
        Some(place) => (place.port() != 0).then(|| (*place.ip(), Some(place.port()))),
        None => word.parse().ok().map(|address| (address, None)),
    }
}

fn put<'a>(name: &'a str, hex: bool, usage: &'static str) -> Result<ConsoleCommand<'a>, ParseError<'a>> {
    match Name::new(name) {
        _ if name.is_empty() => Err(ParseError::Usage(usage)),
        Ok(_) => Ok(ConsoleCommand::Put { name, hex }),
        Err(_) => Err(ParseError::Name),
    }
}

fn which<'a>(word: &'a str, usage: &'static str) -> Result<Which<'a>, ParseError<'a>> {
    match word.strip_prefix('#').map(str::parse) {
        _ if word.is_empty() => Err(ParseError::Usage(usage)),
        Some(Ok(number)) => Ok(Which::Number(number)),
        // A name may begin with `#` as well.
        _ => Ok(Which::Name(word)),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use deaddrop_core::token::TokenPrefix;
    use proptest::prelude::*;
    use std::string::ToString;

    fn token(text: &str) -> TokenPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn every_command_is_understood() {
        let host = Ipv4Addr::new(192, 168, 1, 20);
        for (line, command) in [
            ("", ConsoleCommand::Nothing),
            ("  \t", ConsoleCommand::Nothing),
            ("help", ConsoleCommand::Help),
            ("?", ConsoleCommand::Help),
            (" status ", ConsoleCommand::Status),
            ("offers", ConsoleCommand::Offers),
            ("list", ConsoleCommand::List),
            ("fetch 7kqz", ConsoleCommand::Fetch(FetchRequest { token: token("7kqz"), from: None })),
            (
                "fetch  7KQZ\tfrom 192.168.1.20",
                ConsoleCommand::Fetch(FetchRequest { token: token("7kqz"), from: Some((host, None)) }),
            ),
            (
                "fetch 7kqzx from 192.168.1.20:50000",
                ConsoleCommand::Fetch(FetchRequest {
                    token: token("7kqzx"),
                    from: Some((host, Some(50_000))),
                }),
            ),
            ("send the code is 4711", ConsoleCommand::Send("the code is 4711")),
            ("send  two spaces  ", ConsoleCommand::Send(" two spaces  ")),
            ("put notes.txt", ConsoleCommand::Put { name: "notes.txt", hex: false }),
            ("put-hex my key.bin ", ConsoleCommand::Put { name: "my key.bin", hex: true }),
            ("show a (1).txt", ConsoleCommand::Show(Which::Name("a (1).txt"))),
            ("show #2", ConsoleCommand::Show(Which::Number(2))),
            ("show #2b", ConsoleCommand::Show(Which::Name("#2b"))),
            ("offer #1", ConsoleCommand::Offer(Which::Number(1))),
            ("forget a", ConsoleCommand::Forget(Which::Name("a"))),
            ("auto on", ConsoleCommand::Auto(true)),
            ("auto off", ConsoleCommand::Auto(false)),
        ] {
            assert_eq!(parse(line), Ok(command), "{line:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        for (line, says) in [
            ("fly", "there is no command \"fly\": try help"),
            ("Help", "there is no command \"Help\": try help"),
            ("status now", "say it like this: status"),
            ("offers x", "say it like this: offers"),
            ("list x", "say it like this: list"),
            ("fetch", "say it like this: fetch TOKEN, or fetch TOKEN from IP"),
            ("fetch 7kqz from", "say it like this: fetch TOKEN, or fetch TOKEN from IP"),
            ("fetch 7kqz at 10.0.0.1", "say it like this: fetch TOKEN, or fetch TOKEN from IP"),
            ("fetch 7kqz from 10.0.0.1 now", "say it like this: fetch TOKEN, or fetch TOKEN from IP"),
            ("fetch 7kq", "a token has 26 characters, of which the first 4 or more will do: see offers"),
            ("fetch 7kqu", "\"u\" cannot stand there in a token: see offers"),
            ("fetch 7kq\u{202e}", "\"\\u{202e}\" cannot stand there in a token: see offers"),
            ("fetch 7kqz from here", "\"here\" is no IPv4 address, such as 192.168.1.20: see offers"),
            ("fetch 7kqz from ::1", "\"::1\" is no IPv4 address, such as 192.168.1.20: see offers"),
            (
                "fetch 7kqz from 10.0.0.1:0",
                "\"10.0.0.1:0\" is no IPv4 address, such as 192.168.1.20: see offers",
            ),
            ("send", "say it like this: send TEXT"),
            ("send   ", "say it like this: send TEXT"),
            ("put", "say it like this: put NAME"),
            ("put-hex", "say it like this: put-hex NAME"),
            ("put a/b", "a name has at most 255 bytes and no slash: give another"),
            ("show", "say it like this: show NAME, or show #NUMBER"),
            ("offer ", "say it like this: offer NAME, or offer #NUMBER"),
            ("forget", "say it like this: forget NAME, or forget #NUMBER"),
            ("auto", "say it like this: auto on, or auto off"),
            ("auto maybe", "say it like this: auto on, or auto off"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), says, "{line:?}");
        }
    }

    #[test]
    fn a_name_is_as_long_as_a_drop_allows() {
        let line = std::format!("put {}", "n".repeat(255));
        assert!(parse(&line).is_ok());
        assert_eq!(parse(&std::format!("{line}n")), Err(ParseError::Name));
    }

    #[test]
    fn help_names_every_command() {
        for word in [
            "help", "status", "offers", "fetch", "send", "put", "put-hex", "list", "show", "offer", "forget",
            "auto",
        ] {
            assert!(!matches!(parse(word), Err(ParseError::Unknown(_))), "{word}");
            assert!(word == "help" || HELP.lines().any(|line| line.starts_with(word)), "{word}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in "(send|put|fetch|show|offer|forget|auto|status)?[ \t]?\\PC{0,40}") {
            let _ = parse(&line);
        }
    }
}
