//! The verbs.

mod board_page;
mod doctor;
mod fetch;
mod progress;
mod resolve;
mod room;
mod run;
mod send;
mod setup;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;

use deaddrop::{BundleOptions, Sender, SenderBuilder};
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, WifiKey, WifiSettings};
use smol::future;

use crate::cli::{AutoFetch, BoardPage, Command, Fetch, From, RoomAction, RoomArgs, SendFile};
use crate::exit::{Exit, Failure};
use crate::passphrase::{self, Surroundings};
use crate::platform;
use crate::resources;
use crate::signals::Signals;
use crate::ui::{Event, Ui};
use crate::wifi_key;

/// A command whose arguments, terminal and files have been read.
#[allow(clippy::large_enum_variant, reason = "one in each process, never in a collection")]
enum Job {
    Run(run::Job),
    Send(send::Job),
    Fetch(fetch::Job),
    Room(RoomAction),
    Doctor(doctor::Job),
    BoardPage(board_page::Job),
}

/// Carries a command out. A signal ends it as soon as that is fair to the other side.
pub(crate) fn execute(command: Command, ui: &Ui, signals: &Signals) -> Exit {
    if let Err(failure) = resources::check() {
        return ui.fail_now(&failure);
    }
    let handling = async {
        let Err(error) = signals.handle().await;
        ui.fail(&Failure::failed(format!("cannot handle signals: {error}; start it again"))).await
    };
    let work = async {
        // Nothing has been offered or claimed yet, so that a signal ends it as it stands.
        let stopped = async { Err(signals.wait().await) };
        match future::or(stopped, prepare(command, ui, signals)).await? {
            Job::Run(job) => run::run(ui, signals, job).await,
            Job::Send(job) => send::send(ui, signals, job).await,
            Job::Fetch(job) => fetch::fetch(ui, signals, job).await,
            Job::Doctor(job) => {
                let stopped = async { Err(signals.wait().await) };
                future::or(stopped, doctor::doctor(ui, signals, job)).await
            }
            Job::BoardPage(job) => {
                let stopped = async { Err(signals.wait().await) };
                future::or(stopped, board_page::board_page(ui, job)).await
            }
            // No peer hears of it, so that a signal ends it as it stands too.
            Job::Room(action) => {
                let stopped = async { Err(signals.wait().await) };
                future::or(stopped, room::room(ui, signals, action)).await
            }
        }
    };
    let ended = async {
        match work.await {
            Ok(()) => Exit::Done,
            Err(failure) => ui.fail(&failure).await,
        }
    };
    // Signals come first, so that they are handled before anything else is done.
    smol::block_on(future::or(handling, ended))
}

/// Refuses to read both the passphrase and what is to be sent from standard input: one of them would be empty, or the
/// passphrase would be sent.
fn check_stdin(room_file: Option<&Path>, what: &str) -> Result<(), Failure> {
    if !room_file.is_some_and(platform::is_stdin) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the passphrase and {what} would both come from standard input: give --room-file another path"
    )))
}

/// The name of a file from standard input unless another is given.
const STDIN_NAME: &str = "stdin";

/// Finds the passphrase, and opens what is to be sent, reading standard input to its end where it comes from there.
///
/// What reads files does so on threads of their own: a read may take as long as it likes, and a signal is to end it.
async fn prepare(command: Command, ui: &Ui, signals: &Signals) -> Result<Job, Failure> {
    let find = async |room: RoomArgs| passphrase::passphrase(room, Surroundings::ours(), signals).await;
    Ok(match command {
        Command::Run(mut args) => {
            let room = args.take_room();
            // Before there is a room: a request to read its file again that comes meanwhile is not to end a service.
            if !platform::has_terminal() {
                signals.reload_on_hangup();
            }
            let passphrase::Found { passphrase, file } =
                passphrase::find(room, Surroundings::ours(), signals).await?;
            let (fetching, out) = match (args.auto_fetch, args.out.take()) {
                (AutoFetch::None, out) => (None, out),
                (_, None) => (None, None),
                (kinds, Some(out)) => {
                    let timeout = args.exec_timeout.unwrap_or(run::EXEC_TIMEOUT);
                    let arguments = std::mem::take(&mut args.arguments);
                    let exec = args.exec.take().map(|program| run::Exec { program, arguments, timeout });
                    (Some(run::Fetching { kinds, out, limits: args.limits(), exec }), None)
                }
            };
            if out.is_some() && !ui.can_have_screen() {
                return Err(Failure::usage(run::OUT_WITHOUT_A_SCREEN));
            }
            Job::Run(run::Job { net: args.net(), passphrase, room_file: file, fetching, out })
        }
        Command::SendMsg(mut args) => {
            let typed = args.message.as_ref().is_some_and(|text| text.expose() != "-");
            if !typed {
                check_stdin(args.room_file.as_deref(), "the message")?;
            }
            let passphrase = find(args.take_room()).await?;
            let net = args.net();
            let drop = match args.message {
                Some(text) if text.expose() != "-" => {
                    // Without another copy of it.
                    let bytes = std::mem::take(&mut *text.into_inner()).into_bytes();
                    Sender::message(bytes)?
                }
                _ => {
                    if io::stdin().is_terminal() {
                        let how = format!("Type the message, and end it with {}.", platform::END_OF_TYPED);
                        ui.notice(&how).await?;
                    }
                    let stdin = stdin()?;
                    smol::unblock(|| Sender::message_from(stdin)).await?
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
        Command::SendFile(mut args) => {
            if args.reads_stdin() {
                check_stdin(args.room_file.as_deref(), "the file")?;
            }
            let passphrase = find(args.take_room()).await?;
            let net = args.net();
            let path = args.paths.first().filter(|_| !args.reads_stdin()).cloned();
            let drop = match &args.paths[..] {
                _ if args.reads_stdin() => {
                    if io::stdin().is_terminal() {
                        let how = format!(
                            "Type the content of the file, and end it with {}.",
                            platform::END_OF_TYPED
                        );
                        ui.notice(&how).await?;
                    }
                    let (stdin, name) = (stdin()?, args.name.clone());
                    smol::unblock(move || Sender::file_from(stdin, name.as_deref().unwrap_or(STDIN_NAME)))
                        .await?
                }
                [file] if !file.is_dir() => {
                    let (file, name) = (file.clone(), args.name.clone());
                    smol::unblock(move || Sender::file_as(file, name.as_deref())).await?
                }
                _ => bundle(ui, &args).await?,
            };
            let drop = drop.ttl(args.ttl).fetches(args.fetches);
            Job::Send(send::Job { drop, path, tcp_port: args.tcp_port, net, passphrase })
        }
        Command::Room(room) => Job::Room(room.action),
        Command::Doctor(mut args) => {
            let passphrase = passphrase::given(args.take_room(), Surroundings::ours()).await;
            let (From(senders), net) = (args.from.clone().unwrap_or_default(), args.net());
            Job::Doctor(doctor::Job { senders, wait: args.wait, net, passphrase })
        }
        Command::BoardPage(mut args) => {
            board_page::check_out(ui, args.out.as_ref())?;
            let what = if args.seed {
                board_page::What::Seed
            } else {
                let address = Address::from_settings(args.address, args.gateway)
                    .map_err(|error| Failure::usage(error.to_string()))?;
                let key = wifi_key(&args, signals).await?;
                let wifi = WifiSettings::from_settings(args.ssid, key, args.wifi_open, args.wifi_country)
                    .map_err(|error| Failure::usage(error.to_string()))?;
                let passphrase = find(args.take_room()).await?;
                board_page::What::Page { passphrase, address, mode: Mode { auto: args.auto }, wifi }
            };
            Job::BoardPage(board_page::Job { what, out: args.out })
        }
        Command::Fetch(mut args) => {
            let passphrase = find(args.take_room()).await?;
            let (senders, net) = (args.senders(), args.net());
            let Fetch { token, out, force, restart, discard, wait, .. } = args;
            let wanted = fetch::Wanted { at: Vec::new(), token, out, force, restart };
            Job::Fetch(fetch::Job { senders, wanted, discard, wait, net, passphrase })
        }
    })
}

/// The key of the Wi-Fi network that a board is to join, if it has one.
async fn wifi_key(args: &BoardPage, signals: &Signals) -> Result<Option<WifiKey>, Failure> {
    let Some(path) = args.wifi_key_file.clone() else { return Ok(None) };
    if path.as_os_str() == "-" || platform::is_stdin(&path) {
        check_stdin(args.room_file.as_deref(), "the Wi-Fi key")?;
        if io::stdin().is_terminal() {
            return wifi_key::ask(signals).await.map(Some);
        }
    }
    smol::unblock(move || wifi_key::read(&path)).await.map(Some)
}

/// A folder, or several files and folders. What is left out of it is named.
async fn bundle(ui: &Ui, args: &SendFile) -> Result<SenderBuilder, Failure> {
    let options = BundleOptions { follow: args.follow, skip_unsendable: args.skip_unreadable };
    let paths = args.paths.clone();
    let drop = smol::unblock(move || Sender::bundle(&paths, &options)).await?;
    for left_out in drop.left_out() {
        let message = format!("left out: {left_out}");
        ui.show(&Event::Warning { code: "left-out", message: &message }).await?;
    }
    match &args.name {
        Some(name) => Ok(drop.name(name)?),
        None => Ok(drop),
    }
}

/// Standard input without std's buffer, which is never wiped.
fn stdin() -> Result<File, Failure> {
    platform::stdin().map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))
}
