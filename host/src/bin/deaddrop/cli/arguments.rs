//! From the process's arguments to a command.

use std::ffi::OsString;

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, FromArgs, Optionality, SubCommandInfo};
use deaddrop_core::limits::VERSION;
use deaddrop_provisioning::Address;
use zeroize::Zeroizing;

use super::overview::overview;
use super::suggestion::{meant, question};
use super::{AutoFetch, BoardPage, Cli, Command, Fetch, NAME, Room, RoomAction, RoomNew, Run, SendFile};
use crate::exit::Failure;

/// What asks for help. Behind a verb, `help` alone does not: it is a message like any other.
const HELP: [&str; 2] = ["-h", "--help"];

/// What the arguments ask for.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of these in a process")]
pub(crate) enum Parsed {
    /// A command to carry out.
    Command(Command),
    /// A text to print, and nothing else to do.
    Text(String),
    /// Nothing: a text that says how to begin.
    Nothing(String),
}

/// Reads the arguments, the program's own name left out.
///
/// Whatever copy of them is made here is wiped: one may be a passphrase or a message. The kernel's
/// own copy stays as it is, and others can read it while the process lives.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Failure> {
    let mut given = Vec::new();
    for (before, argument) in arguments.into_iter().enumerate() {
        let argument = argument.into_string().map_err(|argument| {
            not_utf8(before + 1, given.last().map(|last: &Zeroizing<String>| last.as_str()), argument)
        })?;
        given.push(Zeroizing::new(argument));
    }
    if given.is_empty() {
        return Ok(Parsed::Nothing(overview()));
    }
    let ordered = order(&given)?;
    let cli = match Cli::from_args(&[NAME], &ordered) {
        Ok(cli) => cli,
        Err(exit) if exit.status.is_ok() => return Ok(Parsed::Text(exit.output)),
        Err(exit) => return Err(usage(&exit.output, &ordered)),
    };
    if cli.version {
        return Ok(Parsed::Text(version()));
    }
    // Without a command and without --version there was nothing, and that was answered above.
    let Some(command) = cli.command else { return Ok(Parsed::Nothing(overview())) };
    check(&command)?;
    Ok(Parsed::Command(command))
}

/// The failure of an argument that is not UTF-8, behind `last`. It is named by its place or its option, because it may be a
/// message.
fn not_utf8(place: usize, last: Option<&str>, argument: OsString) -> Failure {
    let bytes = Zeroizing::new(argument.into_encoded_bytes());
    let joined = bytes.split(|byte| *byte == b'=').next().and_then(|name| str::from_utf8(name).ok());
    let info = Cli::get_args_info();
    let option = [joined, last].into_iter().flatten().find(|name| {
        let taken_by = |(_, command): &(_, CommandInfoWithArgs)| takes_value(command, name);
        leaves(&info, "").iter().any(taken_by)
    });
    Failure::usage(match option {
        Some(option) => format!("the value of {option} is not UTF-8: give one that is"),
        None => format!(
            "argument {place} is not UTF-8: send such a message through standard input, and rename such a file"
        ),
    })
}

/// Whether the arguments ask for JSON. Asked when they are otherwise wrong, so that a script gets even
/// that error as an event.
pub(crate) fn wants_json(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments.into_iter().take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

fn version() -> String {
    format!("deaddrop {} (protocol {VERSION})\n", env!("CARGO_PKG_VERSION"))
}

/// What is wrong only in combination.
fn check(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(run) => check_run(run),
        Command::SendFile(send) => check_send_file(send),
        Command::Fetch(fetch) => check_fetch(fetch),
        Command::Room(Room { action: RoomAction::New(new) }) => check_room(new),
        Command::BoardPage(page) => check_board_page(page),
        _ => Ok(()),
    }
}

fn check_run(run: &Run) -> Result<(), Failure> {
    if run.exec.is_none() && !run.arguments.is_empty() {
        return Err(Failure::usage(
            "there is an argument too many: this command takes options only, and arguments for the program of --exec",
        ));
    }
    if run.exec.is_none() && run.exec_timeout.is_some() {
        return Err(Failure::usage("--exec-timeout is for the program of --exec: give that too"));
    }
    if run.auto_fetch != AutoFetch::None {
        return match run.out {
            Some(_) => Ok(()),
            None => Err(Failure::usage(
                "--auto-fetch needs a folder for what is fetched: name it with --out, as in --out inbox",
            )),
        };
    }
    // Without it --out is for what a person fetches at a terminal, and there has to be one.
    let given = [
        ("--max-size", run.max_size.is_some()),
        ("--max-total", run.max_total.is_some()),
        ("--keep-free", run.keep_free.is_some()),
        ("--exec", run.exec.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::usage(format!(
            "{flag} is for what is fetched, and nothing is: give --auto-fetch messages or --auto-fetch all too"
        ))),
        None => Ok(()),
    }
}

fn check_send_file(send: &SendFile) -> Result<(), Failure> {
    if send.paths.is_empty() {
        return Err(Failure::usage(
            "give the path of a file or folder; deaddrop send-file --help says what there is",
        ));
    }
    if send.reads_stdin() && send.paths.len() > 1 {
        return Err(Failure::usage(
            "standard input (-) is a drop of its own: send it and the other paths one by one (a file that is called - \
             is ./-)",
        ));
    }
    Ok(())
}

fn check_room(new: &RoomNew) -> Result<(), Failure> {
    if new.name.is_some() && new.out.is_some() {
        return Err(Failure::usage("--name and --out both say where the passphrase goes: leave one out"));
    }
    if new.json && new.qr {
        return Err(Failure::usage("--json and --qr both want standard output: leave one out"));
    }
    Ok(())
}

fn check_board_page(page: &BoardPage) -> Result<(), Failure> {
    if page.json && page.out.is_none() {
        return Err(Failure::usage("--json and the page both want standard output: give --out too"));
    }
    if page.seed && page.has_settings() {
        return Err(Failure::usage(
            "a seed has no room, no address and no Wi-Fi: make it and the page by two commands, one of them with --seed",
        ));
    }
    page.check_wifi()?;
    Address::from_settings(page.address, page.gateway)
        .map(drop)
        .map_err(|error| Failure::usage(error.to_string()))
}

fn check_fetch(fetch: &Fetch) -> Result<(), Failure> {
    if fetch.json && fetch.to_stdout() {
        return Err(Failure::usage("--json and --out - both want standard output: leave one out"));
    }
    match (&fetch.from, fetch.port) {
        (None, Some(_)) => Err(Failure::usage("--port is a port of the sender named by --from: give both")),
        (Some(from), Some(port))
            if from.0.iter().any(|named| named.port.is_some_and(|other| other != port)) =>
        {
            Err(Failure::usage("--from and --port name different ports: leave one out"))
        }
        _ => Ok(()),
    }
}

/// One line from argh's message, with the way to more help.
fn usage(output: &str, arguments: &[&str]) -> Failure {
    let line = output.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = line.trim_end_matches('.').to_owned();
    if let Some(first) = line.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    // What refuses a value says itself what it would take.
    if line.starts_with("error parsing option") {
        return Failure::usage(line);
    }
    let info = Cli::get_args_info();
    let (mut commands, mut behind) = (&info.commands, String::new());
    for argument in arguments {
        let Some(command) = commands.iter().find(|command| command.name == *argument) else { break };
        behind = format!("{behind} {}", command.name);
        commands = &command.command.commands;
    }
    Failure::usage(format!("{line}; {NAME}{behind} --help says what there is"))
}

/// Puts the options of a command first and its positional arguments behind `--`, so that argh sees
/// one simple form of what people write. `--name=value` becomes two arguments. A command of commands, such as `room`,
/// has its own behind it.
fn order(given: &[Zeroizing<String>]) -> Result<Vec<&str>, Failure> {
    let info = Cli::get_args_info();
    let mut given = given.iter().map(|argument| argument.as_str());
    let mut ordered = Vec::new();
    let mut help = false;
    let mut command = &info;
    // The names of the commands so far.
    let mut path = Vec::new();
    while path.is_empty() || !command.commands.is_empty() {
        let Some(argument) = given.next() else { break };
        if HELP.contains(&argument) || argument == "help" {
            help = true;
        } else if argument.starts_with('-') {
            if flag(command, argument).is_none() {
                let name = argument.split('=').next().unwrap_or(argument);
                return Err(no_such_flag(&info, command, &path, name));
            }
            ordered.push(argument);
        } else {
            let next = command.commands.iter().find(|command| command.name == argument);
            let Some(next) = next else { return Err(no_such_command(command, &path, argument)) };
            ordered.push(argument);
            path.push(next.name);
            command = &next.command;
        }
    }
    // argh hands a verb the word `help` when it was asked for help before it: send-msg would send it.
    if help && (!path.is_empty() || ordered.is_empty()) {
        path.push("--help");
        return Ok(path);
    }
    // Without a command there is nothing to put in order.
    if path.is_empty() {
        return Ok(ordered);
    }
    if !command.commands.is_empty() {
        let name = path.join(" ");
        let names = named(command).join(", ");
        return Err(Failure::usage(format!(
            "say what {name} is to do: {names}; {NAME} {name} --help says more"
        )));
    }
    let mut positionals = Vec::new();
    let mut seen = Vec::new();
    while let Some(argument) = given.next() {
        if argument == "--" {
            positionals.extend(given.by_ref());
        } else if argument == "-" || !argument.starts_with('-') {
            positionals.push(argument);
        } else {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (argument, None),
            };
            if HELP.contains(&argument) {
                path.push("--help");
                return Ok(path);
            }
            if let Some(times) = verbosity(name) {
                if value.is_some() {
                    return Err(Failure::usage(format!("{name} takes no value")));
                }
                ordered.extend(std::iter::repeat_n("-v", times));
                continue;
            }
            if flag(command, name).is_none() {
                return Err(no_such_flag(&info, command, &path, name));
            }
            ordered.push(name);
            let takes_value = takes_value(command, name);
            if !takes_value && value.is_some() {
                return Err(Failure::usage(format!("{name} takes no value")));
            }
            if takes_value {
                // argh would print the value when it refuses the second: it may be the passphrase.
                if seen.contains(&name) && !repeats(command, name) {
                    return Err(Failure::usage(format!("{name} was given twice: leave one out")));
                }
                seen.push(name);
            }
            ordered.extend(value.or_else(|| if takes_value { given.next() } else { None }));
        }
    }
    let many = command.positionals.iter().any(|it| matches!(it.optionality, Optionality::Repeating));
    if positionals.len() > command.positionals.len() && !many {
        // Not repeated to the user: it may be part of a message without quotes.
        return Err(Failure::usage(match path.as_slice() {
            ["send-msg"] => {
                "more than one message was given: put it in quotes, or send it through standard input"
            }
            ["room", "add"] => {
                "more than one name was given; the passphrase is asked for, and never an argument"
            }
            _ => "there is an argument too many: this command takes options only",
        }));
    }
    if !positionals.is_empty() {
        ordered.push("--");
        ordered.extend(positionals);
    }
    Ok(ordered)
}

/// The names of the commands of a command.
fn named(command: &CommandInfoWithArgs) -> Vec<&'static str> {
    command.commands.iter().map(|command| command.name).collect()
}

/// The failure of a word in the place of a command that is none. `path` is what stands before it.
fn no_such_command(info: &CommandInfoWithArgs, path: &[&str], word: &str) -> Failure {
    let names = named(info);
    let next = question(&meant(word, names.iter().copied()))
        .unwrap_or_else(|| format!("there are {};", names.join(", ")));
    let [word, help] = [word, "--help"].map(|last| [path, &[last]].concat().join(" "));
    Failure::usage(format!("there is no command {word}: {next} {NAME} {help} says more"))
}

/// The commands that are no command of commands, with the words that name them.
fn leaves(info: &CommandInfoWithArgs, path: &str) -> Vec<(String, CommandInfoWithArgs)> {
    let below = |command: &SubCommandInfo| {
        let path = format!("{path}{}", command.name);
        match command.command.commands.is_empty() {
            true => vec![(path, command.command.clone())],
            false => leaves(&command.command, &format!("{path} ")),
        }
    };
    info.commands.iter().flat_map(below).collect()
}

/// The failure of a flag that this command, or the program without a command, does not have.
fn no_such_flag(
    info: &CommandInfoWithArgs,
    command: &CommandInfoWithArgs,
    path: &[&str],
    name: &str,
) -> Failure {
    let behind: String = path.iter().map(|name| format!(" {name}")).collect();
    let help = format!("{NAME}{behind} --help says what there is");
    let of_others: Vec<_> = leaves(info, "")
        .into_iter()
        .filter(|(_, other)| flag(other, name).is_some() || verbosity(name).is_some())
        .map(|(name, _)| name)
        .collect();
    // A command of the same group comes first: `room --json new`.
    let nearest = of_others.iter().find(|other| format!(" {other}").starts_with(&behind));
    if !command.commands.is_empty()
        && let Some(nearest) = nearest
    {
        return Failure::usage(format!(
            "{name} stands before the command: write the command first, as in {NAME} {nearest} {name}"
        ));
    }
    let meant = meant(name, command.flags.iter().map(|flag| flag.long));
    let next = question(&meant).map(|question| format!("{question} {help}")).unwrap_or(help);
    let of_others = match (path, of_others.as_slice()) {
        ([_, ..], [_, ..]) => format!(", which is for {}", of_others.join(" and ")),
        _ => String::new(),
    };
    Failure::usage(format!("unrecognized argument: {name}{of_others}; {next}"))
}

/// How often `-v` stands in an argument such as `-vv`, which argh takes one by one only.
fn verbosity(argument: &str) -> Option<usize> {
    let letters = argument.strip_prefix('-').filter(|letters| !letters.is_empty())?;
    letters.bytes().all(|letter| letter == b'v').then_some(letters.len())
}

fn flag<'a>(command: &'a CommandInfoWithArgs, name: &str) -> Option<&'a FlagInfo<'static>> {
    command.flags.iter().find(|flag| flag.long == name)
}

fn takes_value(command: &CommandInfoWithArgs, name: &str) -> bool {
    flag(command, name).is_some_and(|flag| matches!(flag.kind, FlagInfoKind::Option { .. }))
}

fn repeats(command: &CommandInfoWithArgs, name: &str) -> bool {
    flag(command, name).is_some_and(|flag| matches!(flag.optionality, Optionality::Repeating))
}

#[cfg(test)]
mod tests;
