//! `deaddrop board-page`: the command line of what makes a board a member.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};
use deaddrop_provisioning::{Country, Prefixed, Ssid, WifiSettings};

use super::RoomArgs;
use super::values::{RoomName, Text, key_file, page_file};
use crate::exit::Failure;

/// Make the page of flash that makes a board a member of the room.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "board-page",
    help_triggers("-h", "--help"),
    example = "{command_name} --room-name default --out page.bin\n{command_name} --room-file room.txt --address 192.168.1.7/24 --auto --out page.bin",
    example = "{command_name} --room-name default --ssid home --wifi-key-file key.txt --out page.bin",
    example = "{command_name} --seed --out seed.bin",
    note = "The page is a provisioning record, of 80 bytes: the one secret that a board needs\nto meet the room, without the passphrase, and how it gets an address. It is the\nsame for all boards with these settings, and goes where the memory map of a board\nhas RECORD.",
    note = "A board with a radio needs the network to join too, in 128 further bytes, with its\nkey in clear text: the passphrase of WPA2 or WPA3, or the 64 hexadecimal digits of\na PSK, which WPA2 alone takes. --wifi-key-file - reads it from standard input.",
    note = "A board without a generator that stands alone also needs a seed, a record of 64\nbytes where the map has SEED_A. --seed makes one, from random numbers of the\nsystem, another each time. Two boards with one seed use the same keys: write it to\none board, and remove it.",
    note = "Without --out it goes to standard output, unless that is a terminal. A file is\nreadable by you only, and never takes the place of one that exists."
)]
pub(crate) struct BoardPage {
    /// the address of the board with the prefix of its network, as in 192.168.1.7/24; without it, DHCP
    #[argh(option, arg_name = "ip/prefix")]
    pub(crate) address: Option<Prefixed>,
    /// the gateway of its network, with --address
    #[argh(option, arg_name = "ip")]
    pub(crate) gateway: Option<Ipv4Addr>,
    /// have the board fetch messages as they are offered
    #[argh(switch)]
    pub(crate) auto: bool,
    /// the name of the Wi-Fi network that a board with a radio joins
    #[argh(option, arg_name = "name")]
    pub(crate) ssid: Option<Ssid>,
    /// file with the key of that network, readable by its owner only
    #[argh(option, arg_name = "path", from_str_fn(key_file))]
    pub(crate) wifi_key_file: Option<PathBuf>,
    /// join that network without a key: what is sent there can be read by all who are near
    #[argh(switch)]
    pub(crate) wifi_open: bool,
    /// where the board is, as in DE, which decides channels and power; without it, what is allowed nearly everywhere
    #[argh(option, arg_name = "country")]
    pub(crate) wifi_country: Option<Country>,
    /// make the seed of one board instead, which needs no room
    #[argh(switch)]
    pub(crate) seed: bool,
    /// file to write it into, instead of standard output
    #[argh(option, arg_name = "path", from_str_fn(page_file))]
    pub(crate) out: Option<PathBuf>,
    /// passphrase of the room; visible to other users of this machine, so prefer the other ways
    #[argh(option, arg_name = "passphrase")]
    pub(crate) room: Option<Text>,
    /// file with the passphrase of the room, readable by its owner only
    #[argh(option, arg_name = "path")]
    pub(crate) room_file: Option<PathBuf>,
    /// name of the room, as in deaddrop room list
    #[argh(option, arg_name = "room")]
    pub(crate) room_name: Option<RoomName>,
    /// print events as JSON, one object a line, on standard output
    #[argh(switch)]
    pub(crate) json: bool,
    /// print results and errors only
    #[argh(switch)]
    pub(crate) quiet: bool,
}

impl BoardPage {
    /// Takes the room's arguments out.
    pub(crate) fn take_room(&mut self) -> RoomArgs {
        RoomArgs {
            room: self.room.take(),
            room_file: self.room_file.take(),
            room_name: self.room_name.take(),
        }
    }

    /// Whether something is given that is for a page and not for a seed.
    pub(super) fn has_settings(&self) -> bool {
        let room = self.room.is_some() || self.room_file.is_some() || self.room_name.is_some();
        room || self.address.is_some() || self.gateway.is_some() || self.auto || self.has_wifi()
    }

    /// Whether something is given about Wi-Fi.
    fn has_wifi(&self) -> bool {
        let file = self.wifi_key_file.is_some();
        self.ssid.is_some() || file || self.wifi_open || self.wifi_country.is_some()
    }

    /// Refuses what is said about Wi-Fi if it does not fit together.
    pub(super) fn check_wifi(&self) -> Result<(), Failure> {
        let (key, country) = (self.wifi_key_file.is_some(), self.wifi_country.is_some());
        WifiSettings::check_given(self.ssid.is_some(), key, self.wifi_open, country)
            .map_err(|error| Failure::usage(error.to_string()))
    }
}
