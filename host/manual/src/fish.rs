//! Completions for fish.

use std::fmt::Write;

use crate::description::{Description, Flag, Offer};

/// When no command was given yet.
const NO_COMMAND: &str = "__fish_use_subcommand";

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
        add("__fish_seen_subcommand_from help", &format!("-a {}", verb.verb()), &verb.purpose());
    }
    add(NO_COMMAND, "-a help", "print help on a command");
    program.flags.iter().for_each(|flag| add(NO_COMMAND, &option(flag), flag.description));
    for verb in &program.verbs {
        let when = format!("__fish_seen_subcommand_from {}", verb.verb());
        verb.flags.iter().for_each(|flag| add(&when, &option(flag), flag.description));
        for (argument, value) in verb.arguments() {
            if let Some(offer) = offered(value.offer) {
                add(&when, offer, argument.description);
            }
        }
    }
    script
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
        Offer::Nothing => None,
    }
}

/// A word in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
