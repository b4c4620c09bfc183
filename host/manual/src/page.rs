//! Man pages: one of the program, and one for each verb.

use argh::Optionality;
use roff::{Inline, Roff, bold, italic, roman};

use crate::description::{Description, Flag, with_first};

/// What stands at the foot of each page.
pub(crate) struct Imprint {
    /// The date, such as 2026-11-27.
    pub(crate) date: String,
    /// The version of the program.
    pub(crate) version: String,
}

/// The page of the program, or of a group of its verbs.
pub(crate) fn overview(program: &Description<'_>, command: &Description<'_>, imprint: &Imprint) -> String {
    let mut page = start(command, imprint);
    page.control("SH", ["COMMANDS"]);
    for verb in &command.verbs {
        page.control("TP", []).text([bold(&verb.name)]);
        page.text(
            [roman(verb.info.description), roman(" See ")].into_iter().chain(link(verb)).collect::<Vec<_>>(),
        );
    }
    let above = (command.name != program.name).then_some(program);
    if above.is_none() {
        page.control("TP", []).text([bold(format!("{} help", program.name)), roman(" "), italic("COMMAND")]);
        page.text([roman("Print help on a command.")]);
    }
    finish(&mut page, program, command, above.into_iter().chain(&command.verbs))
}

/// The page of a verb.
pub(crate) fn verb(program: &Description<'_>, verb: &Description<'_>, imprint: &Imprint) -> String {
    let mut page = start(verb, imprint);
    let others = program.verbs.iter().filter(|other| other.name != verb.name);
    finish(&mut page, program, verb, std::iter::once(program).chain(others))
}

/// Title, name, synopsis, description and arguments.
fn start(command: &Description<'_>, imprint: &Imprint) -> Roff {
    let mut page = Roff::new();
    let version = format!("deaddrop {}", imprint.version);
    let title = command.page().to_uppercase();
    page.control("TH", [title.as_str(), "1", &imprint.date, &version, "User Commands"]);
    // No hyphens at the ends of lines: in a name such as deaddrop-fetch one would be taken for a part of it.
    page.control("nh", []);
    page.control("SH", ["NAME"]);
    page.text([roman(command.page()), roman(" - "), roman(command.purpose())]);
    page.control("SH", ["SYNOPSIS"]);
    page.text(synopsis(command));
    page.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut page, command.info.description);
    for note in command.info.notes {
        page.control("PP", []);
        paragraphs(&mut page, note);
    }
    if command.arguments().next().is_some() {
        page.control("SH", ["ARGUMENTS"]);
    }
    for (argument, value) in command.arguments() {
        page.control("TP", []).text([italic(value.name.to_uppercase())]);
        page.text([roman(sentence(argument.description))]);
    }
    page
}

/// Options, exit status, examples, and the other pages.
fn finish<'a>(
    page: &mut Roff,
    program: &Description<'_>,
    command: &Description<'_>,
    others: impl Iterator<Item = &'a Description<'a>>,
) -> String {
    page.control("SH", ["OPTIONS"]);
    for flag in &command.flags {
        page.control("TP", []).text(heading(flag));
        page.text([roman(sentence(flag.description))]);
    }
    page.control("SH", ["EXIT STATUS"]);
    for code in program.info.error_codes {
        page.control("TP", []).text([bold(code.code.to_string())]);
        page.text([roman(sentence(code.description))]);
    }
    if !command.info.examples.is_empty() {
        page.control("SH", ["EXAMPLES"]);
        for (at, example) in command.info.examples.iter().enumerate() {
            if at > 0 {
                page.control("PP", []);
            }
            page.control("nf", []);
            let lines = example.replace("{command_name}", &command.name);
            lines.lines().for_each(|line| {
                page.text([roman(line)]);
            });
            page.control("fi", []);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    let mut links = Vec::new();
    for other in others {
        if !links.is_empty() {
            links.push(roman(", "));
        }
        links.extend(link(other));
    }
    page.text(links);
    page.render()
}

/// `deaddrop fetch [OPTIONS] [MESSAGE]`
fn synopsis(command: &Description<'_>) -> Vec<Inline> {
    let mut line = vec![bold(&command.name), roman(" ["), italic("OPTIONS"), roman("]")];
    if !command.verbs.is_empty() {
        line.extend([roman(" "), italic("COMMAND")]);
    }
    for (argument, value) in command.arguments() {
        let (open, close) = match argument.optionality {
            Optionality::Required => (" ", ""),
            Optionality::Optional => (" [", "]"),
            Optionality::Repeating | Optionality::Greedy => (" [", "...]"),
        };
        line.extend([roman(open), italic(value.name.to_uppercase()), roman(close)]);
    }
    line
}

/// `-v, --verbose`, or `--ttl time`
fn heading(flag: &Flag<'_>) -> Vec<Inline> {
    let mut line = Vec::new();
    if let Some(short) = flag.short {
        line.extend([bold(format!("-{short}")), roman(", ")]);
    }
    line.push(bold(flag.long));
    if let Some(value) = flag.value {
        line.extend([roman(" "), italic(value.name)]);
    }
    line
}

/// A page as other pages name it: `deaddrop-fetch(1)`.
fn link(command: &Description<'_>) -> [Inline; 2] {
    [bold(command.page()), roman("(1)")]
}

/// A text whose paragraphs have an empty line between them, and whose other line ends mean nothing.
fn paragraphs(page: &mut Roff, text: &str) {
    for (at, paragraph) in text.split("\n\n").enumerate() {
        if at > 0 {
            page.control("PP", []);
        }
        page.text([roman(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))]);
    }
}

/// A description as a sentence.
fn sentence(description: &str) -> String {
    format!("{}.", with_first(description.trim_end_matches('.'), char::to_ascii_uppercase))
}
