//! The command line in the words of the generated texts: argh's description with what argh leaves out.

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality, PositionalInfo};

/// The flag for help, which every command has.
const HELP: &str = "--help";

/// The program or one of its verbs.
pub(crate) struct Description<'a> {
    /// Its name on the command line, such as `deaddrop fetch`.
    pub(crate) name: String,
    /// What argh knows of it.
    pub(crate) info: &'a CommandInfoWithArgs,
    /// Its flags, with the one for help.
    pub(crate) flags: Vec<Flag<'a>>,
    /// The verbs of the program, or of a group of verbs such as `room`; none of a verb.
    pub(crate) verbs: Vec<Description<'a>>,
}

/// A flag of a command.
pub(crate) struct Flag<'a> {
    /// `--name`
    pub(crate) long: &'a str,
    /// The letter of its short form.
    pub(crate) short: Option<char>,
    /// What it is for.
    pub(crate) description: &'a str,
    /// Its value; `None` if it takes none.
    pub(crate) value: Option<Value<'a>>,
    /// Whether it may be given several times.
    pub(crate) repeats: bool,
}

/// The value of a flag, or an argument.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    /// What stands for it in texts.
    pub(crate) name: &'a str,
    /// What a shell can offer for it.
    pub(crate) offer: Offer,
}

/// What a shell can offer for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Files and folders.
    Paths,
    /// The names of network interfaces.
    Interfaces,
    /// The names of the user's rooms.
    Rooms,
    /// Nothing: only the person knows it.
    Nothing,
}

impl<'a> Value<'a> {
    fn named(name: &'a str) -> Self {
        let offer = match name {
            "path" => Offer::Paths,
            "interface" => Offer::Interfaces,
            "room" => Offer::Rooms,
            _ => Offer::Nothing,
        };
        Self { name, offer }
    }
}

impl<'a> Flag<'a> {
    fn of(info: &FlagInfo<'a>) -> Self {
        Self {
            long: info.long,
            short: info.short,
            description: info.description,
            value: match info.kind {
                FlagInfoKind::Switch => None,
                FlagInfoKind::Option { arg_name } => Some(Value::named(arg_name)),
            },
            repeats: info.optionality == Optionality::Repeating,
        }
    }

    fn help() -> Self {
        Self { long: HELP, short: Some('h'), description: "print help", value: None, repeats: false }
    }
}

impl<'a> Description<'a> {
    /// Describes a command and its verbs. `name` is its name on the command line.
    pub(crate) fn new(name: impl Into<String>, info: &'a CommandInfoWithArgs) -> Self {
        let name = name.into();
        let verb = |verb: &'a argh::SubCommandInfo| Self::new(format!("{name} {}", verb.name), &verb.command);
        let verbs = info.commands.iter().map(verb).collect();
        // argh has the flag for help in some of its lists, and without its letter.
        let shown = info.flags.iter().filter(|flag| !flag.hidden && flag.long != HELP);
        let flags = shown.map(Flag::of).chain([Flag::help()]).collect();
        Self { name, info, flags, verbs }
    }

    /// The verb's own name.
    pub(crate) fn verb(&self) -> &str {
        self.name.rsplit(' ').next().unwrap_or_default()
    }

    /// The program's verbs that are no groups, in order: `fetch`, `room new`.
    pub(crate) fn leaves(&self) -> Vec<&Self> {
        let below = |verb| if Self::is_group(verb) { verb.leaves() } else { vec![verb] };
        self.verbs.iter().flat_map(below).collect()
    }

    /// The verbs that are groups of verbs.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Self> {
        self.verbs.iter().filter(|verb| verb.is_group())
    }

    fn is_group(&self) -> bool {
        !self.verbs.is_empty()
    }

    /// What stands on the command line behind the program: `room new`.
    pub(crate) fn words(&self) -> &str {
        self.name.split_once(' ').map(|(_, words)| words).unwrap_or_default()
    }

    /// The name of its man page.
    pub(crate) fn page(&self) -> String {
        self.name.replace(' ', "-")
    }

    /// What it is for, in one line: the first clause of the description.
    pub(crate) fn purpose(&self) -> String {
        let clause = self.info.description.split([':', '.']).next().unwrap_or_default();
        with_first(clause, char::to_ascii_lowercase)
    }

    /// The arguments that are not flags.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = (&'a PositionalInfo<'a>, Value<'a>)> {
        let shown = self.info.positionals.iter().filter(|argument| !argument.hidden);
        shown.map(|argument| (argument, Value::named(argument.name)))
    }
}

/// A text with its first letter changed.
pub(crate) fn with_first(text: &str, change: impl Fn(&char) -> char) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| change(&first)).into_iter().chain(letters).collect()
}
