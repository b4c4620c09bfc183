//! The four verbs.

pub(crate) mod fetch;
pub(crate) mod run;
pub(crate) mod send;

use std::io::IsTerminal;

use deaddrop_core::crypto::keys::RoomSecret;
use deaddrop_core::derive::room_secret;
use deaddrop_core::drops::DropSpec;
use deaddrop_core::offer::Name;
use smol::{LocalExecutor, future};
use zeroize::Zeroizing;

use crate::cipher::cipher;
use crate::cli::{Command, Fetch, NetArgs};
use crate::discover::{Asking, skipped_message};
use crate::exit::Failure;
use crate::files::source::{Source, SourceFile, SourceMessage};
use crate::net::beacons::Beacons;
use crate::room::{WEAK_CODE, weak};
use crate::stop::Stop;
use crate::ui::{Event, Ui};

/// A command with all that it asks of the terminal and of files asked.
#[allow(clippy::large_enum_variant, reason = "one in each process, never in a collection")]
enum Job {
    Run(NetArgs, Zeroizing<String>),
    Send(send::Job),
    Fetch(fetch::Job),
}

/// Carries a command out. A signal ends it as soon as that is fair to the other side.
pub fn execute(command: Command, ui: &Ui, passphrase: Zeroizing<String>) -> Result<(), Failure> {
    // Until here the system ends us at a signal: a message that is still being typed is nobody else's yet.
    let job = prepare(command, ui, passphrase)?;
    let executor = LocalExecutor::new();
    let stop = Stop::default();
    let signals = async {
        // Without signals the defaults of the system end the process, less politely.
        let _ = stop.hear_signals().await;
        std::future::pending().await
    };
    let work = async {
        match job {
            Job::Run(net, passphrase) => run::run(&executor, ui, &stop, net, passphrase).await,
            Job::Send(job) => send::send(&executor, ui, &stop, job).await,
            Job::Fetch(job) => fetch::fetch(&executor, ui, &stop, job).await,
        }
    };
    // Signals come first, so that they are heard before anybody can hear of us.
    smol::block_on(executor.run(future::or(signals, work)))
}

/// Looks at what is to be sent or fetched, reading the message from standard input where it comes from there.
fn prepare(command: Command, ui: &Ui, passphrase: Zeroizing<String>) -> Result<Job, Failure> {
    Ok(match command {
        Command::Run(args) => Job::Run(args.net(), passphrase),
        Command::SendMsg(args) => {
            let net = args.net();
            let message = match args.message {
                Some(text) if text.expose() != "-" => SourceMessage::from_text(text.into_inner())?,
                _ => {
                    if std::io::stdin().is_terminal() {
                        ui.notice("Type the message, and end it with Ctrl-D on a line of its own.");
                    }
                    SourceMessage::from_stdin()?
                }
            };
            let source = Source::Message(message);
            let terms = DropSpec {
                kind: source.kind(),
                name: Name::default(),
                size: source.size(),
                ttl: args.ttl,
                fetches: args.fetches,
            };
            Job::Send(send::Job { terms, source, path: None, tcp_port: args.tcp_port, net, passphrase })
        }
        Command::SendFile(args) => {
            let net = args.net();
            let file = SourceFile::open(&args.path)?;
            let name = file.name(args.name.as_deref())?;
            let source = Source::File(file);
            let terms = DropSpec {
                kind: source.kind(),
                name,
                size: source.size(),
                ttl: args.ttl,
                fetches: args.fetches,
            };
            let path = Some(args.path);
            Job::Send(send::Job { terms, source, path, tcp_port: args.tcp_port, net, passphrase })
        }
        Command::Fetch(args) => {
            let (sender, net) = (args.sender(), args.net());
            let Fetch { token, out, wait, .. } = args;
            Job::Fetch(fetch::Job { sender, token, out, wait, net, passphrase })
        }
    })
}

/// Opens the beacon sockets, and says what they do not reach.
fn open_beacons(ui: &Ui, net: &NetArgs) -> Result<Beacons, Failure> {
    let (beacons, skipped) = Beacons::open(net.udp_port, &net.interfaces)?;
    if beacons.addresses().is_empty() {
        ui.show(&Event::Warning {
            code: "no-network",
            message: "no network interface is up and has an IPv4 address, not even loopback: nobody is reached \
                      until one does",
        })?;
    }
    for skipped in &skipped {
        ui.show(&Event::Warning { code: "interface-skipped", message: &skipped_message(skipped) })?;
    }
    Ok(beacons)
}

/// Begins to listen and asks who is there, while the room's secret is still being derived.
fn ask_around<'e>(
    executor: &'e LocalExecutor<'static>,
    ui: &Ui,
    net: &NetArgs,
) -> Result<Asking<'e>, Failure> {
    let beacons = open_beacons(ui, net)?;
    Asking::begin(executor, beacons).map_err(|e| Failure::failed(format!("cannot listen for beacons: {e}")))
}

/// Begins to derive the room secret, beside whatever else goes on.
fn derive(passphrase: Zeroizing<String>) -> impl Future<Output = Result<RoomSecret, Failure>> {
    let deriving = smol::unblock(move || room_secret(&passphrase));
    // A library takes milliseconds to get ready, which nobody has to wait for now.
    cipher();
    async { deriving.await.map_err(|e| Failure::usage(e.to_string())) }
}

/// Warns of a passphrase that can be guessed.
fn warn_weak(ui: &Ui, passphrase: &str) -> Result<(), Failure> {
    match weak(passphrase) {
        Some(message) => ui.show(&Event::Warning { code: WEAK_CODE, message: &message }),
        None => Ok(()),
    }
}
