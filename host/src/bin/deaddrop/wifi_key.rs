//! Files with the key of a Wi-Fi network, which only their owner can read.

use std::fs::File;
use std::io;
use std::path::Path;

use deaddrop_provisioning::WifiKey;

use crate::exit::Failure;
use crate::platform;
use crate::room_file;

/// Reads the key in a file, or in standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<WifiKey, Failure> {
    let shown = path.display();
    let refuse = |error: io::Error| {
        Failure::usage(format!("cannot read the Wi-Fi key file {shown}: {error}; check its path and rights"))
    };
    let mut file = if path.as_os_str() == "-" {
        platform::stdin().map_err(refuse)?
    } else {
        // Looked at through the handle, so that it is the file that is then read.
        let file = File::open(path).map_err(refuse)?;
        if file.metadata().map_err(refuse)?.is_dir() {
            return Err(Failure::usage(format!(
                "the Wi-Fi key file {shown} is a folder: name the file in it"
            )));
        }
        let access = platform::access(&file).map_err(refuse)?;
        let instead = "or pass on what is in it through standard input, with --wifi-key-file -";
        if access.foreign {
            return Err(Failure::usage(format!(
                "the Wi-Fi key file {shown} belongs to another user: make one of your own, {instead}"
            )));
        }
        if access.exposed {
            return Err(Failure::usage(format!(
                "others can reach the Wi-Fi key file {shown}: keep it to yourself with: {} ({instead})",
                platform::keep_private(path)
            )));
        }
        file
    };
    let line = room_file::read_line(&mut file).map_err(refuse)?;
    WifiKey::from_text(&line)
        .map_err(|error| Failure::usage(format!("{error}; it is from the Wi-Fi key file {shown}")))
}
