//! What the program says of the library's errors: exit code, JSON code, and advice that names flags.

mod diagnosis;

use std::fmt::Display;
use std::io;

use deaddrop::{
    Alteration, BrowserWarning, Error, FetchError, InterfaceError, NameError, Network, PortError, PutError,
    SaveError, SkippedInterface, SourceError,
};

pub(crate) use diagnosis::{diagnosis, not_found};

use crate::exit::{Exit, Failure};
use crate::platform::{MORE_FILES, is_out_of_files};

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Passphrase(error) => Self::usage(error.to_string()),
            Error::Source(error) => error.into(),
            Error::Offer(error) => error.into(),
            Error::Port(error) => error.into(),
            Error::Interface(error) => error.into(),
            Error::Fetch(error) => error.into(),
            Error::Save(error) => error.into(),
            Error::Stopped => Self::interrupted(),
            Error::Kept { error, .. } => (*error).into(),
            other => Self::failed(other.to_string()),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match &error {
            SourceError::NotFound { .. } | SourceError::Folder { .. } => Self::usage(error.to_string()),
            SourceError::NotRegular { .. } | SourceError::NoSize { .. } => {
                advise(Self::usage, &error, ": send what is read from it with `deaddrop send-file - < PATH`")
            }
            SourceError::Unreadable { .. } => {
                advise(file, &error, "; check the path and your rights to the file")
            }
            SourceError::MessageUnreadable(_) => {
                advise(Self::failed, &error, "; check what standard input is redirected from")
            }
            SourceError::InputUnreadable(_) => {
                advise(file, &error, "; check what standard input is redirected from")
            }
            SourceError::NotSpooled { error: why, .. } if why.kind() == io::ErrorKind::FileTooLarge => {
                advise(file, &error, "; raise the limit of the size of files with ulimit -f")
            }
            SourceError::NotSpooled { .. } => {
                advise(file, &error, "; mend that, or name another folder in TMPDIR")
            }
            SourceError::SpoolFull { .. } => advise(
                no_space,
                &error,
                ": check that standard input ends, free some space, or name another folder in TMPDIR",
            ),
            SourceError::NameNotText { .. } => advise(Self::usage, &error, ": give one with --name"),
            SourceError::NameEmpty => {
                Self::usage("the name given with --name is empty: give another, or leave --name out")
            }
            SourceError::Name(NameError::Length) => {
                Self::usage("a drop's name has at most 255 bytes: give a shorter one with --name")
            }
            SourceError::Name(NameError::Character) => {
                Self::usage("a drop's name has no NUL and no slash: give another with --name")
            }
            SourceError::Name(_) => Self::usage(error.to_string()),
            SourceError::Unsendable(_) => {
                let file = |message| Self::new(Exit::Failed, "file", message);
                advise(
                    file,
                    &error,
                    "; mend that, or leave all of it out with --skip-unreadable (links can be replaced by what they point to \
                     with --follow)",
                )
            }
            SourceError::SameName { .. } => advise(Self::usage, &error, ": send them one by one"),
            SourceError::NothingToSend => {
                advise(Self::usage, &error, ": check the paths, and what was left out")
            }
            SourceError::TooManyEntries => {
                advise(Self::usage, &error, ": send parts of it, or pack it into one file")
            }
            SourceError::NoFolderName => {
                Self::usage("no folder can have the name given with --name: give another")
            }
            SourceError::TooDeep { .. } => advise(Self::usage, &error, ": give a shorter name with --name"),
            SourceError::MessageTooLong => Self::usage(format!(
                "a message has at most {} bytes: put it into a file and use send-file",
                deaddrop::MESSAGE_MAX
            )),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Ttl => Self::usage("a drop lives from 1 second to 7 days: give another --ttl"),
            PutError::Fetches { most } => {
                Self::usage(format!("a drop allows 1 to {most} fetches here: give another --fetches"))
            }
            other => Self::usage(other.to_string()),
        }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let advice = match error.port {
            _ if is_out_of_files(&error.error) => return out_of_files(&error),
            Some(_) => "; choose another with --tcp-port",
            None => "; choose one with --tcp-port",
        };
        advise(Self::failed, &error, advice)
    }
}

impl From<InterfaceError> for Failure {
    fn from(error: InterfaceError) -> Self {
        match &error {
            InterfaceError::Unknown { name, .. } if !can_be_an_interface(name) => {
                Self::usage(error.to_string())
            }
            // What is not there now can be later, when Wi-Fi is up: another start can do what this one cannot.
            InterfaceError::Unknown { .. } => Self::unreachable(error.to_string()),
            InterfaceError::Unusable { .. } => advise(
                Self::unreachable,
                &error,
                ": mend that, name another with --interface, or leave it out to use all that can be",
            ),
            InterfaceError::NoZone { .. } => {
                advise(Self::usage, &error, ": add it, such as %eth0, or name it with --interface")
            }
            InterfaceError::NotBehind { .. } => {
                advise(Self::usage, &error, ": name another with --interface, or leave it out")
            }
            InterfaceError::Unreadable(why) | InterfaceError::Listen(why) if is_out_of_files(why) => {
                out_of_files(&error)
            }
            other => Self::failed(other.to_string()),
        }
    }
}

/// Whether any system can call an interface this. A path, for instance, is a mistake in the command line.
fn can_be_an_interface(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.contains(char::is_control)
}

impl From<SaveError> for Failure {
    fn from(error: SaveError) -> Self {
        match &error {
            SaveError::NoFolder { .. } => advise(Self::usage, &error, ": make it first"),
            SaveError::NotAFileName { .. } => advise(Self::usage, &error, ": give a new file or a folder"),
            SaveError::NotRegular { .. } => {
                advise(Self::usage, &error, ": give a new file or a folder, or --out - for standard output")
            }
            SaveError::NoSpace { .. } => advise(
                no_space,
                &error,
                ": free some, or choose another place with --out (for standard output with TMPDIR)",
            ),
            SaveError::Io { .. } if error.is_no_space() => {
                advise(no_space, &error, "; free some space, or choose another place")
            }
            SaveError::PartReplaced { .. } => {
                advise(file, &error, ": fetch it again, into a folder that only you can write to")
            }
            SaveError::FileSizeLimit { .. } => advise(file, &error, ": raise its limit with ulimit -f"),
            SaveError::NameRefused { .. } => {
                advise(file, &error, "; fetch it again, and choose another name with --out")
            }
            SaveError::NotResumable { .. } => advise(file, &error, ": begin anew with --restart"),
            SaveError::Io { .. } => {
                advise(file, &error, "; mend that, or choose another place with --out, and fetch it again")
            }
            SaveError::Bundle(_) => {
                advise(Self::failed, &error, "; check that both sides run the same version of deaddrop")
            }
            SaveError::NamesTaken { .. } => advise(Self::failed, &error, ": choose another with --out"),
            _ => Self::failed(error.to_string()),
        }
    }
}

/// What to do about a peer that says what deaddrop does not.
const NOT_UNDERSTOOD: &str = "; check that deaddrop and no other program has that port, and that both sides run the same version of it";

fn out_of_files(fact: &impl Display) -> Failure {
    advise(Failure::failed, fact, &format!("; {MORE_FILES}"))
}

fn no_space(message: String) -> Failure {
    Failure::new(Exit::Failed, "no-space", message)
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        match &error {
            FetchError::Unreachable(_) => advise(
                Self::unreachable,
                &error,
                ": check that it is still running, its address, and that no firewall is in the way of its TCP \
                 port, one of 48556 to 48571 unless it chose another",
            ),
            FetchError::Lost(_) => {
                advise(Self::unreachable, &error, "; check that it is still running, then fetch again")
            }
            FetchError::Slow => {
                advise(Self::unreachable, &error, "; check the network between the two, then fetch again")
            }
            FetchError::NotMember => {
                advise(Self::not_a_member, &error, "; check the passphrase on both sides")
            }
            FetchError::Busy(_) => advise(Self::busy, &error, ": try again, or wait longer with --wait"),
            FetchError::Flooded(_) => advise(Self::busy, &error, "; try again, or wait longer with --wait"),
            FetchError::Unknown => advise(Self::unknown, &error, ": check both"),
            FetchError::Gone => advise(Self::unknown, &error, "; ask its sender for another"),
            FetchError::Expired => advise(Self::expired, &error, ": ask for it again"),
            FetchError::Changed => {
                let changed = |message| Self::new(Exit::Failed, "changed", message);
                advise(changed, &error, "; ask for it again")
            }
            FetchError::PrefixDiffers => {
                let changed = |message| Self::new(Exit::Failed, "changed", message);
                advise(changed, &error, ": begin anew with --restart")
            }
            FetchError::Ambiguous => advise(Self::usage, &error, ": give more of its characters"),
            FetchError::NoBudget => advise(Self::busy, &error, ": wait, or name the port with --port"),
            FetchError::Protocol(_) => advise(Self::failed, &error, NOT_UNDERSTOOD),
            FetchError::Unsupported(_) => advise(Self::failed, &error, ": update deaddrop on this side"),
            FetchError::MessageTooLong(_) => advise(Self::failed, &error, ": ask for it as a file"),
            FetchError::Stopped => Self::interrupted(),
            _ => Self::failed(error.to_string()),
        }
    }
}

/// A failure to read, write or place a file.
fn file(message: String) -> Failure {
    Failure::new(Exit::Failed, "file", message)
}

/// A failure whose message is the library's statement of the fact, followed by advice.
fn advise(failure: impl FnOnce(String) -> Failure, fact: &impl Display, advice: &str) -> Failure {
    failure(format!("{fact}{advice}"))
}

/// The warning of an interface that beacons cannot use, or not fully.
pub(crate) fn skipped(skipped: &SkippedInterface) -> String {
    let SkippedInterface { interface, error, .. } = skipped;
    match skipped.receive_unavailable {
        Some(Network::MDNS_PORT) => format!(
            "nothing is said or heard by multicast DNS on {interface}: {error}; beacons are used all the same. If a \
             program holds UDP port {} alone, end it",
            Network::MDNS_PORT
        ),
        Some(port) => format!(
            "nothing is heard on UDP port {port} of {interface}: {error}; end the program that holds it, or agree \
             with the others on another --udp-port"
        ),
        None => format!(
            "discovery does not reach the network behind {interface}: {error}; others there can still fetch with \
             --from"
        ),
    }
}

/// The warning of something in a folder that is not saved as it was sent, and the word for it.
pub(crate) fn alteration(alteration: &Alteration) -> (&'static str, String) {
    match alteration {
        Alteration::Renamed { path, name } => (
            "renamed",
            format!("{path} is saved as {name}, because its own name is taken or not possible here"),
        ),
        Alteration::LinkLeftOut { path } => (
            "link-left-out",
            format!(
                "{path} is a link and was left out: here this user or this file system can make none, or none that leads \
                 where it did"
            ),
        ),
        _ => ("altered", "something in the folder is not saved as it was sent".into()),
    }
}

/// The code and the text of what keeps offers from being shown.
pub(crate) fn discovery(warning: &BrowserWarning) -> (&'static str, String) {
    match warning {
        BrowserWarning::Flooded { waiting, turned_away } => (
            "flooded",
            format!(
                "more senders are announced than can be asked ({waiting} wait, {turned_away} found no room in the last \
                 second): somebody may be forging them; new offers may be shown late, so fetch what is urgent with --from"
            ),
        ),
        BrowserWarning::Crowded { shown, most, share } => (
            "crowded",
            format!(
                "members of this room offer more than the {shown} drops that are shown at a time, {share} of which are \
                 from {most}: fetch what is not shown with --from and --token"
            ),
        ),
        // A later version of the library may warn of more.
        _ => ("discovery", format!("{warning:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_full_disk_has_its_own_word_wherever_it_shows() {
        let of = |kind: io::ErrorKind| {
            let error = io::Error::from(kind);
            Failure::from(SaveError::Io { operation: "write", path: "x".into(), error })
        };
        assert_eq!(of(io::ErrorKind::StorageFull).code, "no-space");
        assert_eq!(of(io::ErrorKind::PermissionDenied).code, "file");
        let full = SaveError::NoSpace { folder: "d".into(), needed: 9 };
        assert_eq!(Failure::from(full).code, "no-space");
        let full = SourceError::SpoolFull { folder: "d".into(), spooled: 9 };
        assert_eq!(Failure::from(full).code, "no-space");
    }

    #[test]
    fn every_refusal_has_its_exit_code() {
        let table = [
            (FetchError::Unreachable("x".into()), 7),
            (FetchError::Lost("x".into()), 7),
            (FetchError::Slow, 7),
            (FetchError::NotMember, 6),
            (FetchError::Busy(Some(Duration::ZERO)), 5),
            (FetchError::Flooded(None), 5),
            (FetchError::NoBudget, 5),
            (FetchError::Unknown, 4),
            (FetchError::Gone, 4),
            (FetchError::Expired, 3),
            (FetchError::Ambiguous, 2),
            (FetchError::Changed, 1),
            (FetchError::Protocol("x".into()), 1),
            (FetchError::Stopped, 130),
        ];
        for (error, code) in table {
            let failure = Failure::from(Error::from(error.clone()));
            assert_eq!(failure.exit.code(), code, "{error:?}");
            assert!(!failure.message.is_empty());
        }
    }

    #[test]
    fn of_a_peer_that_is_not_understood_another_program_is_named_too() {
        let failure = Failure::from(Error::from(FetchError::Protocol("bad greeting".into())));
        let contact = deaddrop::diagnosis::Contact::Failed("bad greeting".into());
        let at = "10.0.0.7:48556".parse().map(deaddrop::Endpoint).unwrap();
        let verdict = deaddrop::diagnosis::Verdict::Sender { at, named: true, contact };
        for message in [failure.message, diagnosis(&verdict, false).1] {
            assert!(
                message.contains("no other program") && message.contains("the same version"),
                "{message}"
            );
        }
    }
}
