//! Completions for zsh.

use std::fmt::Write;

use argh::Optionality;

use crate::description::{Description, Flag, Offer};

/// The script, for a folder of `$fpath`, under the name `_deaddrop`.
pub(crate) fn completions(program: &Description<'_>) -> String {
    let mut described = String::new();
    let mut arguments = String::new();
    // Writing to a String does not fail.
    for verb in &program.verbs {
        let purpose = escaped(&verb.purpose(), &[':']);
        let _ = writeln!(described, "            '{}:{purpose}'", verb.verb());
        let _ = writeln!(arguments, "        {})\n            _arguments -s \\", verb.verb());
        verb.flags.iter().flat_map(specs).for_each(|spec| {
            let _ = writeln!(arguments, "                {spec} \\");
        });
        for (at, (argument, value)) in verb.arguments().enumerate() {
            let optional = if argument.optionality == Optionality::Required { "" } else { ":" };
            let message = escaped(value.name, &[':']);
            let _ = writeln!(
                arguments,
                "                '{}:{optional}{message}:{}' \\",
                at + 1,
                offered(value.offer)
            );
        }
        let _ = writeln!(arguments, "                && ret=0\n            ;;");
    }
    let flags: String =
        program.flags.iter().flat_map(specs).map(|spec| format!("        {spec} \\\n")).collect();
    format!(
        "\
#compdef deaddrop
# Completions of deaddrop for zsh, made from its command line by `cargo xtask manual`.

_deaddrop_commands() {{
    local -a commands
    commands=(
{described}    )
    [[ $1 == all ]] && commands+=('help:print help on a command')
    _describe -t commands command commands
}}

_deaddrop() {{
    local curcontext=$curcontext state line ret=1
    typeset -A opt_args
    _arguments -C \\
{flags}        '1:command:->command' \\
        '*::argument:->argument' \\
        && return
    case $state in
    command) _deaddrop_commands all && ret=0 ;;
    argument)
        case $words[1] in
{arguments}        help) _deaddrop_commands && ret=0 ;;
        esac
        ;;
    esac
    return ret
}}

_deaddrop \"$@\"
"
    )
}

/// What `_arguments` is told of a flag, one word for each of its forms.
fn specs(flag: &Flag<'_>) -> Vec<String> {
    let description = escaped(flag.description, &['[', ']']);
    let (equals, value) = match flag.value {
        Some(value) => ("=", format!(":{}:{}", escaped(value.name, &[':']), offered(value.offer))),
        None => ("", String::new()),
    };
    let repeats = if flag.repeats { "*" } else { "" };
    let short = flag.short.map(|letter| format!("'{repeats}-{letter}[{description}]{value}'"));
    short.into_iter().chain([format!("'{repeats}{}{equals}[{description}]{value}'", flag.long)]).collect()
}

/// The action that offers a value.
fn offered(offer: Offer) -> &'static str {
    match offer {
        Offer::Paths => "_files",
        Offer::Interfaces => "_net_interfaces",
        // A space shows the message alone.
        Offer::Nothing => " ",
    }
}

/// A text inside single quotes, in which `special` has no meaning.
fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\'' => escaped.push_str("'\\''"),
            letter if letter == '\\' || special.contains(&letter) => escaped.extend(['\\', letter]),
            letter => escaped.push(letter),
        }
    }
    escaped
}
