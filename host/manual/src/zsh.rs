//! Completions for zsh.

use std::fmt::Write;

use argh::Optionality;

use crate::description::{Description, Flag, Offer};

/// The script, for a folder of `$fpath`, under the name `_deaddrop`.
pub(crate) fn completions(program: &Description<'_>) -> String {
    let groups: String = program
        .groups()
        .map(|group| {
            let own = format!("{}\n", function(group, &format!("_deaddrop_{}", group.verb()), "", ""));
            format!("{}\n{own}", described(group, &format!("_deaddrop_{}_commands", group.verb()), ""))
        })
        .collect();
    let help = "    [[ $1 == all ]] && commands+=('help:print help on a command')\n";
    format!(
        "\
#compdef deaddrop
# Completions of deaddrop for zsh, made from its command line by `cargo xtask manual`.

_deaddrop_rooms() {{
    local -a rooms
    rooms=(${{(f)\"$(command deaddrop room list --quiet 2>/dev/null)\"}})
    compadd -a rooms
}}

{}
{groups}{}
_deaddrop \"$@\"
",
        described(program, "_deaddrop_commands", help),
        function(program, "_deaddrop", " all", "        help) _deaddrop_commands && ret=0 ;;\n"),
    )
}

/// A function that offers the verbs of the program or of a group.
fn described(command: &Description<'_>, name: &str, more: &str) -> String {
    let line =
        |verb: &Description<'_>| format!("        '{}:{}'\n", verb.verb(), escaped(&verb.purpose(), &[':']));
    let lines: String = command.verbs.iter().map(line).collect();
    format!(
        "{name}() {{\n    local -a commands\n    commands=(\n{lines}    )\n{more}    \
         _describe -t commands command commands\n}}\n"
    )
}

/// A function that completes the program or a group: its flags, the verb, and what is behind it.
fn function(command: &Description<'_>, name: &str, which: &str, more: &str) -> String {
    let flags: String =
        command.flags.iter().flat_map(specs).map(|spec| format!("        {spec} \\\n")).collect();
    let arms: String = command.verbs.iter().map(arm).collect();
    format!(
        "\
{name}() {{
    local curcontext=$curcontext state line ret=1
    typeset -A opt_args
    _arguments -C \\
{flags}        '1:command:->command' \\
        '*::argument:->argument' \\
        && return
    case $state in
    command) {name}_commands{which} && ret=0 ;;
    argument)
        case $words[1] in
{arms}{more}        esac
        ;;
    esac
    return ret
}}
"
    )
}

/// What completes a verb, or a group by its own function.
fn arm(verb: &Description<'_>) -> String {
    let name = verb.verb();
    if !verb.verbs.is_empty() {
        return format!("        {name}) _deaddrop_{name} && ret=0 ;;\n");
    }
    let mut arm = format!("        {name})\n            _arguments -s \\\n");
    // Writing to a String does not fail.
    verb.flags.iter().flat_map(specs).for_each(|spec| {
        let _ = writeln!(arm, "                {spec} \\");
    });
    for (at, (argument, value)) in verb.arguments().enumerate() {
        let optional = if argument.optionality == Optionality::Required { "" } else { ":" };
        let message = escaped(value.name, &[':']);
        let offered = offered(value.offer);
        let _ = writeln!(arm, "                '{}:{optional}{message}:{offered}' \\", at + 1);
    }
    arm.push_str("                && ret=0\n            ;;\n");
    arm
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
        Offer::Rooms => "_deaddrop_rooms",
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
