//! Completions for bash.

use std::fmt::Write;

use crate::description::{Description, Flag, Offer};

/// The script. It needs bash alone, and not the package bash-completion.
pub(crate) fn completions(program: &Description<'_>) -> String {
    let verbs: Vec<_> = program.verbs.iter().map(Description::verb).collect();
    // The verb so far, a space, and the word that makes it longer.
    let mut longer: Vec<_> = verbs.iter().chain(&["help"]).map(|verb| format!("' {verb}'")).collect();
    longer.extend(program.groups().flat_map(|group| &group.verbs).map(|verb| format!("'{}'", verb.words())));
    let longer = longer.join("|");
    let mut after_flag = String::new();
    let mut words = String::new();
    // Writing to a String does not fail.
    for group in program.groups() {
        let verbs: Vec<_> = group.verbs.iter().map(Description::verb).collect();
        let _ = writeln!(
            words,
            "        '{}') COMPREPLY=($(compgen -W '{} {}' -- \"$current\")); return ;;",
            group.words(),
            verbs.join(" "),
            names(&group.flags)
        );
    }
    for verb in program.leaves() {
        let name = verb.words();
        for flag in &verb.flags {
            if let Some(value) = flag.value {
                let _ = writeln!(
                    after_flag,
                    "        '{name} {}') {}; return ;;",
                    flag.long,
                    offered(value.offer)
                );
            }
        }
        let argument = verb.arguments().map(|(_, value)| value.offer).next().unwrap_or(Offer::Nothing);
        let _ = writeln!(
            words,
            "        '{name}') flags='{}' argument='{}' ;;",
            names(&verb.flags),
            offered(argument)
        );
    }
    format!(
        "\
# Completions of deaddrop for bash, made from its command line by `cargo xtask manual`.

_deaddrop_paths() {{
    # Names with spaces in them are one word each, and readline quotes them.
    local IFS=$'\\n'
    COMPREPLY=($(compgen -f -- \"$1\"))
    compopt -o filenames 2>/dev/null
}}

_deaddrop_interfaces() {{
    COMPREPLY=($(compgen -W \"$(command ls /sys/class/net 2>/dev/null)\" -- \"$1\"))
}}

_deaddrop_rooms() {{
    # A name with a space in it is one word.
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W \"$(command deaddrop room list --quiet 2>/dev/null)\" -- \"$1\"))
}}

_deaddrop() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    local verb='' only_arguments='' at flags argument
    COMPREPLY=()
    # Readline cuts `--out=PATH` into three words.
    if [[ $current == '=' ]]; then
        current=''
    elif [[ $before == '=' ]]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        case \"$verb ${{COMP_WORDS[at]}}\" in
        {longer}) verb=\"${{verb:+$verb }}${{COMP_WORDS[at]}}\" ;;
        *?' --') only_arguments=yes ;;
        esac
    done
    if [[ ! $only_arguments ]]; then
        case \"$verb $before\" in
{after_flag}        esac
    fi
    case $verb in
{words}        help) COMPREPLY=($(compgen -W '{verbs}' -- \"$current\")); return ;;
        *) COMPREPLY=($(compgen -W '{verbs} help {flags}' -- \"$current\")); return ;;
    esac
    if [[ $current == -* && ! $only_arguments ]]; then
        COMPREPLY=($(compgen -W \"$flags\" -- \"$current\"))
    else
        eval \"$argument\"
    fi
}}

complete -F _deaddrop deaddrop
",
        verbs = verbs.join(" "),
        flags = names(&program.flags),
    )
}

/// The names of flags, both forms of each.
fn names(flags: &[Flag<'_>]) -> String {
    let both = |flag: &Flag<'_>| {
        let short = flag.short.map(|letter| format!("-{letter}"));
        short.into_iter().chain([flag.long.to_owned()]).collect::<Vec<_>>()
    };
    flags.iter().flat_map(both).collect::<Vec<_>>().join(" ")
}

/// The command that offers a value.
fn offered(offer: Offer) -> &'static str {
    match offer {
        Offer::Paths => "_deaddrop_paths \"$current\"",
        Offer::Interfaces => "_deaddrop_interfaces \"$current\"",
        Offer::Rooms => "_deaddrop_rooms \"$current\"",
        Offer::Nothing => ":",
    }
}
