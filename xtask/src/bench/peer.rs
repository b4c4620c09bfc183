//! The programs that are compared: the commands with which each sends and receives one file.

use std::process::Command;

use super::workplace::Workplace;
use crate::environment::repo::Failure;

/// Our command in the workplace, as it is built by default.
pub(super) const ORDINARY: &str = "deaddrop";
/// The same with OpenSSL's cipher.
pub(super) const WITH_OPENSSL: &str = "deaddrop-openssl";

/// One way to get a file from one process to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// Plain TCP: the speed of the machine without encryption.
    Socat,
    /// TLS 1.3 with our cipher.
    SocatTls,
    /// OpenSSH with our cipher.
    Scp,
    /// deaddrop.
    Deaddrop,
    /// The same, built with OpenSSL's cipher.
    DeaddropOpenssl,
}

impl Peer {
    /// All, in the order of their turns.
    pub(crate) const ALL: [Self; 5] =
        [Self::Socat, Self::SocatTls, Self::Scp, Self::Deaddrop, Self::DeaddropOpenssl];

    /// Its name in the tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Socat => "socat",
            Self::SocatTls => "socat TLS",
            Self::Scp => "scp",
            Self::Deaddrop => "deaddrop",
            Self::DeaddropOpenssl => "deaddrop, OpenSSL",
        }
    }

    /// Its encryption, for the tables.
    pub(crate) const fn cipher(self) -> &'static str {
        match self {
            Self::Socat => "none",
            Self::SocatTls => "TLS 1.3, ChaCha20-Poly1305",
            Self::Scp => "OpenSSH, chacha20-poly1305@openssh.com",
            Self::Deaddrop => "CPace, ChaCha20-Poly1305",
            Self::DeaddropOpenssl => "the same, built with `--features openssl`",
        }
    }

    /// The side that starts first and waits for the other.
    pub(super) fn sender(self, place: &Workplace, file: &str, port: u16) -> Command {
        let mut command;
        match self {
            Self::Socat => {
                command = Command::new("socat");
                command.args(["-u", "-b", "131072", &format!("OPEN:{file},rdonly")]);
                command.arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr"));
            }
            Self::SocatTls => {
                command = Command::new("socat");
                command.env("OPENSSL_CONF", place.path("openssl.cnf"));
                command.args(["-u", "-b", "131072", &format!("OPEN:{file},rdonly")]);
                let (cert, key) = (place.path("cert.pem"), place.path("key.pem"));
                command.arg(format!(
                    "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,cert={cert},key={key},verify=0"
                ));
            }
            Self::Scp => {
                command = Command::new("/usr/sbin/sshd");
                command.args(["-D", "-e", "-f", &place.path("sshd_config"), "-o", "ListenAddress=127.0.0.1"]);
                command.args(["-p", &port.to_string()]);
            }
            Self::Deaddrop | Self::DeaddropOpenssl => {
                command = Command::new(self.build(place));
                command.args([
                    "send-file",
                    "--json",
                    "--room-file",
                    &place.path("room"),
                    "--interface",
                    "lo",
                ]);
                command.args(["--tcp-port", &port.to_string(), file]);
            }
        }
        command
    }

    /// The side that is timed from its start to its end. `token` is of the drop, for deaddrop.
    pub(super) fn receiver(
        self,
        place: &Workplace,
        file: &str,
        out: &str,
        port: u16,
        token: &str,
    ) -> Command {
        let mut command;
        match self {
            Self::Socat => {
                command = Command::new("socat");
                command.args(["-u", "-b", "131072", &format!("TCP:127.0.0.1:{port}")]);
                command.arg(format!("OPEN:{out},creat,trunc,wronly"));
            }
            Self::SocatTls => {
                command = Command::new("socat");
                command.env("OPENSSL_CONF", place.path("openssl.cnf"));
                let cert = place.path("cert.pem");
                command.args(["-u", "-b", "131072"]);
                command.arg(format!("OPENSSL:127.0.0.1:{port},cafile={cert},commonname=bench,verify=1"));
                command.arg(format!("OPEN:{out},creat,trunc,wronly"));
            }
            Self::Scp => {
                command = Command::new("scp");
                command.args(["-q", "-F", "none", "-P", &port.to_string(), "-i", &place.path("user")]);
                command.args(["-c", "chacha20-poly1305@openssh.com", "-o", "Compression=no"]);
                command.args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "HostKeyAlias=bench"]);
                command.arg("-o").arg(format!("UserKnownHostsFile={}", place.path("known_hosts")));
                command.arg(format!("{}@127.0.0.1:{file}", place.user())).arg(out);
            }
            Self::Deaddrop | Self::DeaddropOpenssl => {
                command = Command::new(self.build(place));
                command.args(["fetch", "--quiet", "--room-file", &place.path("room"), "--from", "127.0.0.1"]);
                command.args(["--port", &port.to_string(), "--token", token, "--out", out]);
            }
        }
        command
    }

    /// The path of the deaddrop that it runs.
    fn build(self, place: &Workplace) -> String {
        place.path(if self == Self::DeaddropOpenssl { WITH_OPENSSL } else { ORDINARY })
    }

    /// Whether the sender reports on standard output that it is ready. For the others the bench waits until their
    /// port is listened on.
    pub(super) fn says_ready(self) -> bool {
        matches!(self, Self::Deaddrop | Self::DeaddropOpenssl)
    }

    /// Whether the sender has to be ended once the file is there.
    pub(super) fn stays(self) -> bool {
        self == Self::Scp
    }
}

/// The token in deaddrop's `ready` event.
pub(super) fn token(line: &str) -> Result<String, Failure> {
    serde_json::from_str::<serde_json::Value>(line)
        .ok()
        .filter(|event| event["event"] == "ready")
        .and_then(|event| event["token"].as_str().map(str::to_owned))
        .ok_or_else(|| Failure(format!("deaddrop was to report that it is ready, and wrote {line:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_from_the_event() {
        assert_eq!(token(r#"{"event":"ready","token":"abc"}"#).unwrap(), "abc");
        for line in ["", "{}", r#"{"event":"error","message":"no"}"#] {
            assert!(token(line).unwrap_err().0.contains("was to report"), "{line}");
        }
    }
}
