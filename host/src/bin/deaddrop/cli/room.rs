//! `deaddrop room`: the command line of what makes and keeps rooms.

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

use super::values::{RoomName, kept_room, made_room, room_file, words};

/// Words of a passphrase that is made, unless another number is given: as many as the EFF advises.
const WORDS: usize = 6;

/// Make and keep rooms, each with its passphrase in a private file.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "room",
    help_triggers("-h", "--help"),
    example = "{command_name} new --name default\n{command_name} add default\n{command_name} list",
    note = "A room with a name is a file in ~/.config/deaddrop/rooms (XDG_CONFIG_HOME is\nrespected) that only you can read. All commands take it by --room-name NAME, and\nthe room named default where no room is given."
)]
pub(crate) struct Room {
    /// what to do
    #[argh(subcommand)]
    pub(crate) action: RoomAction,
}

/// What there is to do with rooms.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub(crate) enum RoomAction {
    /// Make a passphrase.
    New(RoomNew),
    /// Keep a passphrase.
    Add(RoomAdd),
    /// Print the names of the rooms.
    List(RoomList),
}

/// The flags that all of them share.
macro_rules! action {
    ($(#[$attribute:meta])* $name:ident { $($own:tt)* }) => {
        #[derive(FromArgs, ArgsInfo, Debug)]
        $(#[$attribute])*
        pub(crate) struct $name {
            $($own)*
            /// print events as JSON, one object a line, on standard output
            #[argh(switch)]
            pub(crate) json: bool,
            /// print results and errors only
            #[argh(switch)]
            pub(crate) quiet: bool,
        }
    };
}

action! {
    /// Make a strong passphrase: it is printed on standard output, or written into a private file.
    #[argh(
        subcommand,
        name = "new",
        help_triggers("-h", "--help"),
        example = "{command_name}\n{command_name} --name default\n{command_name} --out room.txt --words 8",
        note = "The words come from the large list of the EFF, of 7,776 words, each chosen by random\nnumbers of the system. Give them to the others by another way: say them, write them\ndown.",
        note = "A file is readable by you only, and never takes the place of one that exists.\nFolders that are missing on the way to it are made, for you only as well."
    )]
    RoomNew {
        /// how many words, from 4 to 24 (6)
        #[argh(option, arg_name = "count", default = "WORDS", from_str_fn(words))]
        pub(crate) words: usize,
        /// name of the room to make, instead of printing the passphrase; default is the one that is used where none is given
        #[argh(option, arg_name = "name", from_str_fn(made_room))]
        pub(crate) name: Option<RoomName>,
        /// file to write the passphrase into, instead of printing it
        #[argh(option, arg_name = "path", from_str_fn(room_file))]
        pub(crate) out: Option<PathBuf>,
        /// show the passphrase as a QR code on the terminal too
        #[argh(switch)]
        pub(crate) qr: bool,
        /// write a QR code to standard output even if that is no terminal
        #[argh(switch)]
        pub(crate) force: bool,
    }
}

action! {
    /// Keep a passphrase under a name: one that you were told, or of your own.
    #[argh(
        subcommand,
        name = "add",
        help_triggers("-h", "--help"),
        example = "{command_name} default\n{command_name} work < room.txt",
        note = "On a terminal the passphrase is asked for twice, without echo. Otherwise it is\nread from standard input, without its line end."
    )]
    RoomAdd {
        /// name of the room; default is the one that is used where none is given
        #[argh(positional, arg_name = "name", from_str_fn(kept_room))]
        pub(crate) name: RoomName,
    }
}

action! {
    /// Print the names of the rooms, a line each, and warn of files that others can read.
    #[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
    RoomList {}
}

impl Room {
    /// Whether `--json` was given.
    pub(super) fn json(&self) -> bool {
        match &self.action {
            RoomAction::New(new) => new.json,
            RoomAction::Add(add) => add.json,
            RoomAction::List(list) => list.json,
        }
    }

    /// Whether `--quiet` was given.
    pub(super) fn quiet(&self) -> bool {
        match &self.action {
            RoomAction::New(new) => new.quiet,
            RoomAction::Add(add) => add.quiet,
            RoomAction::List(list) => list.quiet,
        }
    }
}
