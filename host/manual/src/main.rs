//! Writes the man pages and the completions of `deaddrop` into a folder.
//!
//! Names, descriptions, values, examples and exit codes come from the definition of the command line, which is
//! compiled in from the program's own source: a flag that is added there is in all of them. `cargo xtask manual`
//! runs this program.

#[allow(dead_code, unused_imports, reason = "only the description is used here; the program uses the rest")]
#[path = "../../src/bin/deaddrop/cli/mod.rs"]
mod cli;
#[allow(dead_code, reason = "the definition of the command line refers to it")]
#[path = "../../src/bin/deaddrop/exit.rs"]
mod exit;

mod bash;
mod description;
mod fish;
mod page;
#[cfg(test)]
mod tools;
mod zsh;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};

use crate::description::Description;
use crate::page::Imprint;

/// Write the man pages and the completions of deaddrop.
#[derive(FromArgs)]
struct Manual {
    /// folder to write into: man pages below man1, completions below completions
    #[argh(option, arg_name = "path")]
    out: PathBuf,
    /// date of the man pages, such as 2026-11-27
    #[argh(option, arg_name = "date")]
    date: String,
}

fn main() -> ExitCode {
    let manual: Manual = argh::from_env();
    let files = files(&Imprint { date: manual.date, version: env!("CARGO_PKG_VERSION").to_owned() });
    match files.iter().try_for_each(|(name, text)| write(&manual.out.join(name), text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("deaddrop-manual: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Every file: its path below the folder, and its text.
fn files(imprint: &Imprint) -> Vec<(String, String)> {
    let info = cli::Cli::get_args_info();
    let program = Description::new(cli::NAME, &info);
    let completions = |name: &str, text| (format!("completions/{name}"), text);
    let mut files = vec![
        completions("deaddrop.bash", bash::completions(&program)),
        completions("_deaddrop", zsh::completions(&program)),
        completions("deaddrop.fish", fish::completions(&program)),
        (format!("man1/{}.1", program.page()), page::overview(&program, &program, imprint)),
    ];
    let page = |verb: &Description<'_>, text| (format!("man1/{}.1", verb.page()), text);
    files.extend(program.groups().map(|group| page(group, page::overview(&program, group, imprint))));
    files.extend(program.leaves().into_iter().map(|verb| page(verb, page::verb(&program, verb, imprint))));
    files
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Vec<(String, String)> {
        files(&Imprint { date: "2026-11-27".into(), version: "1.2.3".into() })
    }

    fn text(name: &str) -> String {
        let (_, text) = made().into_iter().find(|(path, _)| path == name).expect(name);
        text
    }

    /// A name as roff has it.
    fn roff(name: &str) -> String {
        name.replace('-', "\\-")
    }

    #[test]
    fn every_verb_and_flag_is_in_every_completion() {
        let info = cli::Cli::get_args_info();
        let program = Description::new(cli::NAME, &info);
        for shell in ["completions/deaddrop.bash", "completions/_deaddrop", "completions/deaddrop.fish"] {
            let text = text(shell);
            for verb in program.leaves() {
                assert!(verb.words().split(' ').all(|word| text.contains(word)), "{shell}: {}", verb.name);
                for flag in verb.info.flags.iter().chain(info.flags) {
                    // fish writes a long flag without its dashes.
                    let long = flag.long.trim_start_matches('-');
                    let written = [format!("--{long}"), format!("-l {long} ")];
                    assert!(written.iter().any(|name| text.contains(name)), "{shell}: {}", flag.long);
                }
            }
        }
    }

    #[test]
    fn every_verb_has_a_page_with_its_flags_arguments_and_notes() {
        let info = cli::Cli::get_args_info();
        let program = Description::new(cli::NAME, &info);
        assert!(program.leaves().len() >= 7 && program.groups().count() == 1);
        for command in program.groups().chain([&program]) {
            let page = text(&format!("man1/{}.1", command.page()));
            for verb in &command.verbs {
                assert!(page.contains(&roff(&verb.page())), "{}", verb.name);
            }
        }
        let overview = text("man1/deaddrop.1");
        for verb in program.leaves() {
            let page = text(&format!("man1/{}.1", verb.page()));
            for flag in verb.info.flags {
                assert!(
                    page.contains(&format!("\\fB{}\\fR", roff(flag.long))),
                    "{}: {}",
                    verb.name,
                    flag.long
                );
            }
            for argument in verb.info.positionals {
                assert!(page.contains(&argument.name.to_uppercase()), "{}: {}", verb.name, argument.name);
            }
            for note in verb.info.notes {
                let words: Vec<_> = note.split_whitespace().map(roff).collect();
                let page: Vec<_> = page.split_whitespace().collect();
                assert!(page.windows(words.len()).any(|part| part == words), "{}: {note}", verb.name);
            }
        }
        for code in info.error_codes {
            assert!(overview.contains(&format!("\\fB{}\\fR", code.code)), "{}", code.code);
        }
    }

    #[test]
    fn no_flag_stands_twice() {
        let info = cli::Cli::get_args_info();
        let program = Description::new(cli::NAME, &info);
        for command in program.leaves().into_iter().chain([&program]) {
            let mut names: Vec<_> = command.flags.iter().map(|flag| flag.long).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{}: {names:?}", command.name);
        }
    }

    #[test]
    fn pages_have_their_date_and_version() {
        for (name, text) in made().into_iter().filter(|(name, _)| name.starts_with("man1/")) {
            let title = text.lines().find(|line| line.starts_with(".TH DEADDROP")).expect(&name);
            assert!(title.contains("2026-11-27") && title.contains("1.2.3"), "{name}: {title}");
        }
    }
}
