//! The four verbs.

mod fetch;
mod run;
mod send;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use deaddrop::{Browser, Error, Network, Room, Sender, SkippedInterface, Zeroizing};
use smol::future;

use crate::cli::{Command, Fetch, NetArgs};
use crate::exit::Failure;
use crate::messages;
use crate::signals::Signals;
use crate::strength::{WEAK_CODE, weak};
use crate::ui::{Event, Ui};

/// A command whose arguments, terminal and files have been read.
#[allow(clippy::large_enum_variant, reason = "one in each process, never in a collection")]
enum Job {
    Run(NetArgs, Zeroizing<String>),
    Send(send::Job),
    Fetch(fetch::Job),
}

/// Carries a command out. A signal ends it as soon as that is fair to the other side.
pub(crate) fn execute(command: Command, ui: &Ui, passphrase: Zeroizing<String>) -> Result<(), Failure> {
    // Until here the system ends us at a signal: a message that is still being typed has not been offered yet.
    let job = prepare(command, ui, passphrase)?;
    let signals = Signals::default();
    let handling = async {
        // Without a handler the defaults of the system end the process, less politely.
        let _ = signals.handle().await;
        future::pending().await
    };
    let work = async {
        match job {
            Job::Run(net, passphrase) => run::run(ui, &signals, net, passphrase).await,
            Job::Send(job) => send::send(ui, &signals, job).await,
            Job::Fetch(job) => fetch::fetch(ui, &signals, job).await,
        }
    };
    // Signals come first, so that they are handled before anybody can hear of us.
    smol::block_on(future::or(handling, work))
}

/// Opens what is to be sent, reading a message from standard input where it comes from there.
fn prepare(command: Command, ui: &Ui, passphrase: Zeroizing<String>) -> Result<Job, Failure> {
    Ok(match command {
        Command::Run(args) => Job::Run(args.net(), passphrase),
        Command::SendMsg(args) => {
            let net = args.net();
            let drop = match args.message {
                Some(text) if text.expose() != "-" => {
                    // Without another copy of it.
                    let bytes = std::mem::take(&mut *text.into_inner()).into_bytes();
                    Sender::message(bytes)?
                }
                _ => {
                    if io::stdin().is_terminal() {
                        ui.notice("Type the message, and end it with Ctrl-D on a line of its own.");
                    }
                    Sender::message_from(stdin()?)?
                }
            };
            if drop.size() == 0 && !args.allow_empty {
                return Err(Failure::usage(
                    "the message is empty: check what was to write it, or send it all the same with --allow-empty",
                ));
            }
            let drop = drop.ttl(args.ttl).fetches(args.fetches);
            Job::Send(send::Job { drop, path: None, tcp_port: args.tcp_port, net, passphrase })
        }
        Command::SendFile(args) => {
            let net = args.net();
            let drop = Sender::file_as(&args.path, args.name.as_deref())?;
            let drop = drop.ttl(args.ttl).fetches(args.fetches);
            let path = Some(args.path);
            Job::Send(send::Job { drop, path, tcp_port: args.tcp_port, net, passphrase })
        }
        Command::Fetch(args) => {
            let (sender, net) = (args.sender(), args.net());
            let Fetch { token, out, force, wait, .. } = args;
            Job::Fetch(fetch::Job { sender, token, out, force, wait, net, passphrase })
        }
    })
}

/// Standard input without std's buffer, which is never wiped.
fn stdin() -> Result<File, Failure> {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    stdin.map(File::from).map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))
}

fn network(net: &NetArgs) -> Network {
    Network { udp_port: net.udp_port, interfaces: net.interfaces.clone() }
}

/// Begins to receive beacons and asks who is there, while the room's secret is still being derived.
fn open_browser(ui: &Ui, net: &NetArgs) -> Result<Browser, Failure> {
    let browser = Browser::open(&network(net)).map_err(Error::from)?;
    warn_network(ui, browser.addresses().is_empty(), browser.skipped())?;
    Ok(browser)
}

/// Warns of networks that beacons do not reach.
fn warn_network(ui: &Ui, nowhere: bool, skipped: &[SkippedInterface]) -> Result<(), Failure> {
    if nowhere {
        ui.show(&Event::Warning {
            code: "no-network",
            message: "no network interface is up and has an IPv4 address, not even loopback: nobody is reached \
                      until one does",
        })?;
    }
    for skipped in skipped {
        ui.show(&Event::Warning { code: "interface-skipped", message: &messages::skipped(skipped) })?;
    }
    Ok(())
}

/// Derives the room's secret, unless a signal comes.
async fn derive(
    deriving: impl Future<Output = Result<Room, deaddrop::PassphraseError>>,
    signals: &Signals,
) -> Result<Room, Failure> {
    let derived = async { deriving.await.map_err(|error| Error::from(error).into()) };
    future::or(derived, async { Err(signals.wait().await) }).await
}

/// Warns of a passphrase that can be guessed, or that holds what nobody sees.
fn warn_weak(ui: &Ui, passphrase: &str) -> Result<(), Failure> {
    if passphrase.trim() != passphrase {
        ui.show(&Event::Warning {
            code: "passphrase-space",
            message: "the passphrase begins or ends with a space, which belongs to it: without the space it is \
                      another room",
        })?;
    }
    match weak(passphrase) {
        Some(message) => ui.show(&Event::Warning { code: WEAK_CODE, message: &message }),
        None => Ok(()),
    }
}
