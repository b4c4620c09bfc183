//! The command line as types. Help, usage errors, man pages and completions come from this file alone.
//!
//! What argh leaves out is done before it sees the arguments, in `arguments`: `--name=value`,
//! options after the message or path, a lone `-`, `-vv`, and options given twice.

mod arguments;
mod board_page;
mod from;
mod overview;
mod room;
mod suggestion;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};
use deaddrop::{Fetches, TokenPrefix};
use deaddrop_core::limits::UDP_PORT;

pub(crate) use arguments::{Parsed, parse, wants_json};
pub(crate) use board_page::BoardPage;
pub(crate) use from::{From, Host, Named};
pub(crate) use room::{Room, RoomAction, RoomAdd, RoomNew};
pub(crate) use values::{AutoFetch, RoomName, Text};

use values::{any_port, exec_timeout, fetches, out, out_folder, port, program, size, ttl, wait};

/// The program's name. argh's description of the command line has the name of the type instead.
pub(crate) const NAME: &str = "deaddrop";

/// Hand messages, files and folders to people on the same network, without a server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    name = "deaddrop",
    help_triggers("-h", "--help"),
    description = "Hand messages, files and folders to people on the same network, without a server.\n\nEveryone who knows the passphrase of a room is a member of it. Members see each\nother's offers, and the first to fetch one gets it. Nobody else learns what is\nhanded over.",
    example = "{command_name} room new --name default\n{command_name} send-msg < message.txt\n{command_name} fetch",
    note = "The passphrase of the room comes from --room, --room-file, --room-name, the\nenvironment variable DEADDROP_ROOM, the room named default if there is one, or is\nasked for on a terminal; the first of these that is given wins.",
    note = "Other users of this machine can see the command line of every process, and the\nshell keeps it in its history: prefer --room-name or --room-file to --room, and\nsend a message through standard input.",
    error_code(0, "done"),
    error_code(1, "failed"),
    error_code(2, "wrong usage"),
    error_code(3, "expired before it was fetched"),
    error_code(4, "not there: unknown token, or already taken"),
    error_code(5, "busy: another receiver holds it, or the sender is flooded"),
    error_code(6, "not a member: the other side has another passphrase"),
    error_code(7, "nobody there, or an --interface is down or absent"),
    error_code(130, "interrupted"),
    error_code(143, "terminated")
)]
pub(crate) struct Cli {
    /// print the version of the program and of the protocol
    #[argh(switch)]
    pub(crate) version: bool,
    /// what to do
    #[argh(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The verbs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub(crate) enum Command {
    /// Show what is offered in the room.
    Run(Run),
    /// Offer a message.
    SendMsg(SendMsg),
    /// Offer a file, a folder, or several of them.
    SendFile(SendFile),
    /// Take a drop.
    Fetch(Fetch),
    /// Make and keep rooms.
    Room(Room),
    /// Say what is in the way of the others.
    Doctor(Doctor),
    /// Make the page of flash that makes a board a member.
    BoardPage(BoardPage),
}

impl Command {
    /// Whether `--json` was given.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Run(run) => run.json,
            Self::SendMsg(send) => send.json,
            Self::SendFile(send) => send.json,
            Self::Fetch(fetch) => fetch.json,
            Self::Room(room) => room.json(),
            Self::Doctor(doctor) => doctor.json,
            Self::BoardPage(page) => page.json,
        }
    }

    /// Whether `--quiet` was given.
    pub(crate) fn quiet(&self) -> bool {
        match self {
            Self::Run(run) => run.quiet,
            Self::SendMsg(send) => send.quiet,
            Self::SendFile(send) => send.quiet,
            Self::Fetch(fetch) => fetch.quiet,
            Self::Room(room) => room.quiet(),
            Self::Doctor(doctor) => doctor.quiet,
            Self::BoardPage(page) => page.quiet,
        }
    }

    /// How often `-v` was given.
    pub(crate) fn verbose(&self) -> u8 {
        match self {
            Self::Run(run) => run.verbose,
            Self::SendMsg(send) => send.verbose,
            Self::SendFile(send) => send.verbose,
            Self::Fetch(fetch) => fetch.verbose,
            Self::Room(_) | Self::BoardPage(_) => 0,
            Self::Doctor(doctor) => doctor.verbose,
        }
    }
}

/// The limits of what `run` fetches, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of one drop.
    pub(crate) size: u64,
    /// Of all that is in the folder.
    pub(crate) total: u64,
    /// What stays free on its disk.
    pub(crate) free: u64,
}

/// Where the passphrase of the room comes from, as the command line has it.
#[derive(Debug, Default)]
pub(crate) struct RoomArgs {
    /// `--room`
    pub(crate) room: Option<Text>,
    /// `--room-file`
    pub(crate) room_file: Option<PathBuf>,
    /// `--room-name`
    pub(crate) room_name: Option<RoomName>,
}

/// What all commands that join a room share, beside the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetArgs {
    /// `--udp-port`
    pub(crate) udp_port: u16,
    /// `--interface`; empty means all.
    pub(crate) interfaces: Vec<String>,
    /// `--mdns`
    pub(crate) mdns: bool,
    /// Whether `-v` asks for what is not used too.
    pub(crate) verbose: bool,
}

/// argh cannot include one struct in another, so the flags that all commands share stand here once
/// and are written into each.
macro_rules! command {
    ($(#[$attribute:meta])* $name:ident { $($own:tt)* }) => {
        #[derive(FromArgs, ArgsInfo, Debug)]
        $(#[$attribute])*
        pub(crate) struct $name {
            $($own)*
            /// passphrase of the room; visible to other users of this machine, so prefer the other ways
            #[argh(option, arg_name = "passphrase")]
            pub(crate) room: Option<Text>,
            /// file with the passphrase of the room, readable by its owner only
            #[argh(option, arg_name = "path")]
            pub(crate) room_file: Option<PathBuf>,
            /// name of the room, as in deaddrop room list
            #[argh(option, arg_name = "room")]
            pub(crate) room_name: Option<RoomName>,
            /// UDP port of discovery, the same for all members (48555)
            #[argh(option, arg_name = "port", default = "UDP_PORT", from_str_fn(port))]
            pub(crate) udp_port: u16,
            /// network interface to use, instead of all; may be given several times
            #[argh(option, arg_name = "interface")]
            pub(crate) interface: Vec<String>,
            /// find each other by multicast DNS too, where the network passes no broadcast; give it on both sides
            #[argh(switch)]
            pub(crate) mdns: bool,
            /// print events as JSON, one object a line, on standard output
            #[argh(switch)]
            pub(crate) json: bool,
            /// print results and errors only, and no progress
            #[argh(switch)]
            pub(crate) quiet: bool,
            /// trace decisions on standard error, without secrets and names; -vv: every beacon and retry too
            #[argh(switch, short = 'v')]
            pub(crate) verbose: u8,
        }

        impl $name {
            /// Takes the room's arguments out.
            pub(crate) fn take_room(&mut self) -> RoomArgs {
                RoomArgs { room: self.room.take(), room_file: self.room_file.take(), room_name: self.room_name.take() }
            }

            /// The arguments that all commands share.
            pub(crate) fn net(&self) -> NetArgs {
                NetArgs {
                    udp_port: self.udp_port,
                    interfaces: self.interface.clone(),
                    mdns: self.mdns,
                    verbose: self.verbose > 0,
                }
            }
        }
    };
}

command! {
    /// Show what is offered in the room, until interrupted.
    #[argh(
        subcommand,
        name = "run",
        help_triggers("-h", "--help"),
        example = "{command_name} --room-name work",
        example = "{command_name} --out downloads",
        example = "{command_name} --auto-fetch all --out inbox --max-size 500M",
        example = "{command_name} --auto-fetch messages --out inbox --exec /usr/local/bin/notify -- --title deaddrop",
        note = "On a terminal the offers are a list: Up and Down (or k and j) select one, Enter\nfetches it, a fetches all, q leaves. A message is printed, a file or a folder\nsaved under its own name in the current folder, or in that of --out. Lines are\nprinted instead with --json, --quiet, -v or --auto-fetch, with TERM=dumb, and where\nstandard input, output or error is no terminal.",
        note = "With --auto-fetch, what is fetched is saved in the folder, a message as a file too,\nand nothing that exists is overwritten. A drop that would exceed a limit is left\nalone and told once; one that fails is tried again, six times in all.",
        note = "The program of --exec is run without a shell, one at a time, and gets a message or\na file on standard input, and DEADDROP_KIND, DEADDROP_NAME, DEADDROP_SIZE,\nDEADDROP_TOKEN, DEADDROP_FROM and DEADDROP_PATH in its environment. The name is as\nits sender wrote it. What it prints goes to standard error."
    )]
    Run {
        /// fetch drops as they appear into the folder that --out names: messages, all, or none (none)
        #[argh(option, arg_name = "kinds", default = "AutoFetch::None")]
        pub(crate) auto_fetch: AutoFetch,
        /// the folder for what is fetched; without --auto-fetch for what is fetched at a terminal
        #[argh(option, arg_name = "path", from_str_fn(out_folder))]
        pub(crate) out: Option<PathBuf>,
        /// fetch no drop that is larger: bytes, or as in 500k, 20M, 2G (2G)
        #[argh(option, arg_name = "size", from_str_fn(size))]
        pub(crate) max_size: Option<u64>,
        /// fetch nothing that makes the folder hold more (10G)
        #[argh(option, arg_name = "size", from_str_fn(size))]
        pub(crate) max_total: Option<u64>,
        /// fetch nothing that leaves less free on the disk (1G)
        #[argh(option, arg_name = "size", from_str_fn(size))]
        pub(crate) keep_free: Option<u64>,
        /// program to run for each drop that was fetched; its arguments stand after --
        #[argh(option, arg_name = "path", from_str_fn(program))]
        pub(crate) exec: Option<PathBuf>,
        /// time after which the program is ended: seconds, or as in 90s, 5m (60s)
        #[argh(option, arg_name = "time", from_str_fn(exec_timeout))]
        pub(crate) exec_timeout: Option<Duration>,
        /// arguments of the program that --exec names, as they are
        #[argh(positional, arg_name = "argument")]
        pub(crate) arguments: Vec<String>,
    }
}

command! {
    /// Offer a message until it is fetched or its time is up.
    #[argh(
        subcommand,
        name = "send-msg",
        help_triggers("-h", "--help"),
        example = "{command_name} --room-file room.txt < message.txt\n{command_name} --room-file room.txt --ttl 60 -- \"-a message that begins with a dash\"",
        note = "Other users of this machine can see a message on the command line, and the shell\nkeeps it in its history: standard input has neither fault."
    )]
    SendMsg {
        /// the message, at most 65536 bytes; without it, or with -, it is read from standard input
        #[argh(positional, arg_name = "message")]
        pub(crate) message: Option<Text>,
        /// offer a message without any bytes too, which is otherwise taken for a failure of the program that was to write it
        #[argh(switch)]
        pub(crate) allow_empty: bool,
        /// time until the offer ends: seconds, or as in 90s, 5m, 1h30m, 2d (2m)
        #[argh(option, arg_name = "time", default = "Duration::from_secs(120)", from_str_fn(ttl))]
        pub(crate) ttl: Duration,
        /// how many receivers may take it: 1 to 64, or all until its time is up (1)
        #[argh(option, arg_name = "count", default = "Fetches::Counted(1)", from_str_fn(fetches))]
        pub(crate) fetches: Fetches,
        /// TCP port to serve on (48556 or the next free one)
        #[argh(option, arg_name = "port", from_str_fn(port))]
        pub(crate) tcp_port: Option<u16>,
    }
}

command! {
    /// Offer files and folders, as one drop, until it is fetched or its time is up.
    #[argh(
        subcommand,
        name = "send-file",
        help_triggers("-h", "--help"),
        example = "{command_name} --room-file room.txt photo.jpg",
        example = "{command_name} --room-file room.txt photos/ notes.txt",
        example = "pg_dump books | {command_name} --room-file room.txt --name books.sql -",
        note = "Of a folder are sent: names, contents, empty folders, which files are programs,\nmodification times, and links that stay inside. What is added to it later is not\npart of the drop; a file that changes withdraws it."
    )]
    SendFile {
        /// the file or folder; several make one drop; - alone is standard input, read to its end before it is offered
        #[argh(positional, arg_name = "path")]
        pub(crate) paths: Vec<PathBuf>,
        /// send what a link points to in its place, if the link leads out of its folder
        #[argh(switch)]
        pub(crate) follow: bool,
        /// leave out what cannot be sent, such as unreadable files, pipes and links that lead out of their folder
        #[argh(switch)]
        pub(crate) skip_unreadable: bool,
        /// time until the offer ends: seconds, or as in 90s, 5m, 1h30m, 2d (5m)
        #[argh(option, arg_name = "time", default = "Duration::from_secs(300)", from_str_fn(ttl))]
        pub(crate) ttl: Duration,
        /// how many receivers may take it: 1 to 64, or all until its time is up (1)
        #[argh(option, arg_name = "count", default = "Fetches::Counted(1)", from_str_fn(fetches))]
        pub(crate) fetches: Fetches,
        /// name to offer it under, instead of its own or "stdin"; several files and folders arrive in one folder of this name
        #[argh(option, arg_name = "name")]
        pub(crate) name: Option<String>,
        /// TCP port to serve on (48556 or the next free one)
        #[argh(option, arg_name = "port", from_str_fn(port))]
        pub(crate) tcp_port: Option<u16>,
    }
}

command! {
    /// Take a drop: a message is printed, a file or a folder is saved under its own name in the current folder.
    #[argh(
        subcommand,
        name = "fetch",
        help_triggers("-h", "--help"),
        example = "{command_name} --room-file room.txt\n{command_name} --room-file room.txt --from 192.168.1.7:48556 --token 9f3k\n{command_name} --room-file room.txt --from '[fe80::1%eth0]:48556,bob.local' --token 9f3k",
        note = "Nothing that exists is ever overwritten: a file gets a name like\n\"photo (1).jpg\" instead. What is received is readable by its owner only."
    )]
    Fetch {
        /// where the sender is if discovery does not reach it: its address or name, with or without a port; several are separated by commas
        #[argh(option, arg_name = "host[:port]")]
        pub(crate) from: Option<From>,
        /// TCP port of the sender named by --from
        #[argh(option, arg_name = "port", from_str_fn(any_port))]
        pub(crate) port: Option<u16>,
        /// the drop to take: its token, or the first 4 or more characters of it
        #[argh(option, arg_name = "token")]
        pub(crate) token: Option<TokenPrefix>,
        /// where to save it: a new file or folder, or a folder that exists; - is standard output, for a folder as tar
        #[argh(option, arg_name = "path", from_str_fn(out))]
        pub(crate) out: Option<PathBuf>,
        /// write a file to standard output even if that is a terminal
        #[argh(switch)]
        pub(crate) force: bool,
        /// begin anew a drop of which an earlier fetch has received a part
        #[argh(switch)]
        pub(crate) restart: bool,
        /// remove what an earlier fetch has received of the drop that --token names, and give its claim back
        #[argh(switch)]
        pub(crate) discard: bool,
        /// time to look and retry before giving up: seconds, or as in 90s, 5m (5s; 60s if the sender is flooded)
        #[argh(option, arg_name = "time", from_str_fn(wait))]
        pub(crate) wait: Option<Duration>,
    }
}

command! {
    /// Say what is in the way of finding the others: each layer of the network is checked, and the last line says what to do.
    #[argh(
        subcommand,
        name = "doctor",
        help_triggers("-h", "--help"),
        example = "{command_name}\n{command_name} --room-file room.txt --from 192.168.1.7",
        note = "Run it on both machines at the same time, so that they find each other. It changes\nnothing. Without a room, senders are tried no further than their greeting. It ends\nwith 0 if nothing is in the way, with 1 otherwise, with 2 if the command line is\nwrong, and with 7 if an --interface is down or absent. As root it also reads the rules of\nthe firewall and names the programs of other users."
    )]
    Doctor {
        /// the other machine, tried although it is not heard: its address or name, with or without a port; several are separated by commas
        #[argh(option, arg_name = "host[:port]")]
        pub(crate) from: Option<From>,
        /// time to listen for others: seconds, or as in 90s, 5m (5s)
        #[argh(option, arg_name = "time", from_str_fn(wait))]
        pub(crate) wait: Option<Duration>,
    }
}

impl Run {
    /// The limits of what is fetched, with the usual ones where none is given.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            size: self.max_size.unwrap_or(2 << 30),
            total: self.max_total.unwrap_or(10 << 30),
            free: self.keep_free.unwrap_or(1 << 30),
        }
    }
}

impl SendFile {
    /// Whether the content of the file comes from standard input.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.paths.iter().any(|path| path.as_os_str() == "-")
    }
}

impl Fetch {
    /// Whether the drop goes to standard output.
    pub(crate) fn to_stdout(&self) -> bool {
        self.out.as_ref().is_some_and(|out| out.as_os_str() == "-")
    }

    /// The senders given by `--from`, with the port of either flag; none if it was not given.
    pub(crate) fn senders(&self) -> Vec<Named> {
        let From(named) = self.from.clone().unwrap_or_default();
        named.into_iter().map(|Named { host, port }| Named { host, port: port.or(self.port) }).collect()
    }
}
