//! Completions for fish.

use std::fmt::Write;

use crate::description::{Description, Flag, Offer};

/// When no command was given yet.
const NO_COMMAND: &str = "__fish_use_subcommand";

/// Whether one of these commands was given.
const SEEN: &str = "__fish_seen_subcommand_from";

/// The script.
pub(crate) fn completions(program: &Description<'_>) -> String {
    let mut script = String::from(
        "# Completions of deaddrop for fish, made from its command line by `cargo xtask manual`.\n\n\
         complete -c deaddrop -f\n",
    );
    let mut add = |when: &str, what: &str, description: &str| {
        let description = quoted(description);
        // Writing to a String does not fail.
        let _ = writeln!(script, "complete -c deaddrop -n {} {what} -d {description}", quoted(when));
    };
    for verb in &program.verbs {
        add(NO_COMMAND, &format!("-a {}", verb.verb()), &verb.purpose());
        add(&format!("{SEEN} help"), &format!("-a {}", verb.verb()), &verb.purpose());
    }
    add(NO_COMMAND, "-a help", "print help on a command");
    program.flags.iter().for_each(|flag| add(NO_COMMAND, &option(flag), flag.description));
    for group in program.groups() {
        let verbs: Vec<_> = group.verbs.iter().map(Description::verb).collect();
        let when = format!("{}; and not {SEEN} {}", seen(group), verbs.join(" "));
        group.verbs.iter().for_each(|verb| add(&when, &format!("-a {}", verb.verb()), &verb.purpose()));
        group.flags.iter().for_each(|flag| add(&when, &option(flag), flag.description));
    }
    for verb in program.leaves() {
        let when = seen(verb);
        verb.flags.iter().for_each(|flag| add(&when, &option(flag), flag.description));
        for (argument, value) in verb.arguments() {
            if let Some(offer) = offered(value.offer) {
                add(&when, offer, argument.description);
            }
        }
    }
    script
}

/// When all words of a verb were given.
fn seen(verb: &Description<'_>) -> String {
    verb.words().split(' ').map(|word| format!("{SEEN} {word}")).collect::<Vec<_>>().join("; and ")
}

/// A flag with both its forms and what is offered for its value.
fn option(flag: &Flag<'_>) -> String {
    let mut option = format!("-l {}", flag.long.trim_start_matches('-'));
    if let Some(letter) = flag.short {
        let _ = write!(option, " -s {letter}");
    }
    if let Some(value) = flag.value {
        option.push_str(" -r");
        if let Some(offer) = offered(value.offer) {
            option.push(' ');
            option.push_str(offer);
        } else {
            option.push_str(" -f");
        }
    }
    option
}

/// How a value is offered.
fn offered(offer: Offer) -> Option<&'static str> {
    match offer {
        Offer::Paths => Some("-F"),
        Offer::Interfaces => Some("-f -a '(__fish_print_interfaces)'"),
        Offer::Rooms => Some("-f -a '(command deaddrop room list --quiet 2>/dev/null)'"),
        Offer::Nothing => None,
    }
}

/// A word in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
