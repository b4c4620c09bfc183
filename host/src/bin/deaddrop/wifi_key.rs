//! Files with the key of a Wi-Fi network, which only their owner can read.

use std::fs::File;
use std::io;
use std::path::Path;

use deaddrop_provisioning::WifiKey;

use crate::exit::Failure;
use crate::platform;
use crate::prompt;
use crate::room_file;
use crate::signals::Signals;

/// Asks for the key on the terminal that standard input is.
pub(crate) async fn ask(signals: &Signals) -> Result<WifiKey, Failure> {
    let line = prompt::ask("Wi-Fi key: ", signals).await.map_err(|error| {
        Failure::usage(match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "no Wi-Fi key was typed: type one, or give a file with --wifi-key-file".to_owned()
            }
            _ => format!(
                "cannot ask for the Wi-Fi key on the terminal: {error}; give a file with --wifi-key-file"
            ),
        })
    })?;
    key(&line, "was typed on the terminal")
}

/// Reads the key in a file, or in standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<WifiKey, Failure> {
    let shown = path.display();
    let refuse = |error: io::Error| {
        Failure::usage(format!("cannot read the Wi-Fi key file {shown}: {error}; check its path and rights"))
    };
    if path.as_os_str() == "-" {
        let refuse = |error: io::Error| {
            Failure::usage(format!("cannot read the Wi-Fi key from standard input: {error}; give a file"))
        };
        let line = room_file::read_line(&mut platform::stdin().map_err(refuse)?).map_err(refuse)?;
        return key(&line, "is from standard input");
    }
    let mut file = {
        // Without the path: where no file can be opened, it may be the key itself that was given in its place.
        let file = File::open(path).map_err(|error| {
            Failure::usage(format!(
                "cannot open the file that --wifi-key-file names: {error}; give the path of a file with the key in it, or - \
                 for standard input"
            ))
        })?;
        // Looked at through the handle, so that it is the file that is then read.
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
    key(&line, &format!("is from the Wi-Fi key file {shown}"))
}

fn key(line: &[u8], source: &str) -> Result<WifiKey, Failure> {
    WifiKey::from_text(line).map_err(|error| Failure::usage(format!("{error}; it {source}")))
}
