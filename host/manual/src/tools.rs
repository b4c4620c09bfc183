//! The generated files in the programs that read them: bash, zsh and fish complete with them, and groff and mandoc
//! show the pages without a warning. `cargo xtask test --only manual` installs these programs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use argh::ArgsInfo;

use crate::description::Description;
use crate::page::Imprint;
use crate::{cli, files, write};

/// The generated files in a folder of their own.
struct Made(tempfile::TempDir);

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files(&Imprint { date: "2026-11-27".into(), version: "1.2.3".into() }) {
            write(&folder.path().join(name), &text).unwrap();
        }
        // What is there to be completed as a path.
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("a photo.jpg"), "").unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What a program prints on standard output and standard error. It starts in the folder with the photo.
    fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new("timeout")
            .args(["60", program])
            .args(arguments)
            .current_dir(self.path("inside"))
            .env("TERM", "dumb")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.0.path())
            .output()
            .unwrap_or_else(|error| panic!("timeout, of coreutils: {error}"));
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        // 126 and 127: it could not be started.
        assert!(output.status.code().is_some_and(|code| code < 124), "{program}: {}: {text}", output.status);
        text
    }

    /// What bash offers for the last of these words.
    fn bash(&self, words: &[&str]) -> Vec<String> {
        let script = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            "$(complete -p deaddrop | sed 's/.*-F \([^ ]*\).*/\1/')"; printf '%s\n' "${COMPREPLY[@]}""#;
        let path = self.path("completions/deaddrop.bash");
        let arguments =
            [&["--noprofile", "--norc", "-c", script, "bash", path.to_str().unwrap()], words].concat();
        lines(&self.output("bash", &arguments))
    }

    /// What fish offers at the end of this line.
    fn fish(&self, line: &str) -> Vec<String> {
        let script = "source $argv[1]; complete -C $argv[2]";
        let path = self.path("completions/deaddrop.fish");
        let output = self.output("fish", &["--no-config", "-c", script, path.to_str().unwrap(), line]);
        lines(&output).iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    /// What zsh offers at the end of this line: its line editor runs in a terminal of zsh's own, and every match is
    /// written into a file.
    fn zsh(&self, line: &str) -> Vec<String> {
        let offers = self.path("offers");
        fs::write(&offers, "").unwrap();
        let script = r#"
            zmodload zsh/zpty
            zpty inner "zsh -f -i"
            zpty -w inner "PROMPT= ; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D
                compadd() { local -a offers; builtin compadd -O offers \"\$@\"
                    print -rl -- \$offers >> $2; builtin compadd \"\$@\" }
                finish() { zle complete-word; exit }
                zle -N finish; bindkey '^T' finish"
            zpty -w -n inner "$3"$'\C-t'
            while zpty -r inner answer; do :; done
        "#;
        let folder = self.path("completions");
        let arguments = ["-f", "-c", script, "zsh", folder.to_str().unwrap(), offers.to_str().unwrap(), line];
        self.output("zsh", &arguments);
        lines(&fs::read_to_string(&offers).unwrap())
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Whether `offers` has all of `names`.
fn has_all<'a>(offers: &[String], names: impl IntoIterator<Item = &'a str>, shell: &str) {
    for name in names {
        assert!(offers.iter().any(|offer| offer == name), "{shell} does not offer {name}: {offers:?}");
    }
}

#[test]
fn shells_offer_every_verb_and_flag() {
    let made = Made::new();
    let info = cli::Cli::get_args_info();
    let program = Description::new(cli::NAME, &info);
    let verbs = || program.verbs.iter().map(Description::verb);
    has_all(&made.bash(&["deaddrop", ""]), verbs(), "bash");
    has_all(&made.fish("deaddrop "), verbs(), "fish");
    has_all(&made.zsh("deaddrop "), verbs(), "zsh");
    has_all(&made.bash(&["deaddrop", "help", ""]), verbs(), "bash");
    has_all(&made.fish("deaddrop help "), verbs(), "fish");
    has_all(&made.zsh("deaddrop help "), verbs(), "zsh");
    for group in program.groups() {
        let verbs = || group.verbs.iter().map(Description::verb);
        let line = format!("{} ", group.name);
        has_all(&made.bash(&["deaddrop", group.verb(), ""]), verbs(), "bash");
        has_all(&made.fish(&line), verbs(), "fish");
        has_all(&made.zsh(&line), verbs(), "zsh");
    }
    for verb in program.leaves() {
        let flags = || verb.flags.iter().map(|flag| flag.long);
        let line = format!("{} --", verb.name);
        let words: Vec<_> = line.split(' ').collect();
        has_all(&made.bash(&words), flags(), "bash");
        has_all(&made.fish(&line), flags(), "fish");
        has_all(&made.zsh(&line), flags(), "zsh");
    }
}

#[test]
fn shells_offer_paths_where_a_path_belongs_and_nowhere_else() {
    let made = Made::new();
    let photo = "a photo.jpg";
    let bash = |words: &[&str]| made.bash(&[&["deaddrop"], words].concat());
    for words in [
        &["send-file", "a"][..],
        &["send-file", "--ttl", "5m", "a"],
        &["fetch", "--out", "a"],
        &["fetch", "--out", "="],
        &["fetch", "--out", "=", "a"],
        &["send-file", "--", "a"],
    ] {
        assert_eq!(bash(words).first().map(String::as_str), Some(photo), "{words:?}");
    }
    for words in
        [&["send-msg", "a"][..], &["fetch", "--token", "a"], &["send-file", "--ttl", "a"], &["fetch", "a"]]
    {
        assert!(bash(words).is_empty(), "{words:?}");
    }
    assert!(bash(&["run", "--interface", ""]).contains(&"lo".to_owned()));
    assert!(bash(&["send-file", "--", "--"]).is_empty(), "behind -- there is no flag");
    assert_eq!(made.fish("deaddrop send-file a"), [photo]);
    assert_eq!(made.fish("deaddrop fetch --out a"), [photo]);
    assert!(made.fish("deaddrop send-msg a").is_empty());
    assert!(made.fish("deaddrop run --interface ").contains(&"lo".to_owned()));
    assert!(made.zsh("deaddrop send-file a").contains(&photo.to_owned()));
    assert!(made.zsh("deaddrop fetch --out a").contains(&photo.to_owned()));
    assert!(!made.zsh("deaddrop send-msg a").contains(&photo.to_owned()));
}

#[test]
fn pages_are_shown_without_a_warning() {
    let made = Made::new();
    let mut pages = 0;
    for page in fs::read_dir(made.path("man1")).unwrap() {
        let page = page.unwrap().path();
        let page = page.to_str().unwrap();
        assert_eq!(made.output("groff", &["-man", "-Tutf8", "-ww", "-z", page]), "", "{page}");
        assert_eq!(made.output("mandoc", &["-T", "lint", "-W", "warning", page]), "", "{page}");
        let shown = made.output("mandoc", &["-T", "utf8", page]);
        assert!(shown.contains("deaddrop") && shown.contains("1.2.3"), "{shown}");
        pages += 1;
    }
    assert!(pages > 4, "{pages} pages");
}

#[test]
fn a_fault_in_a_page_would_be_a_warning() {
    let made = Made::new();
    let page = made.path("fault.1");
    fs::write(&page, ".TH X 1\n.SH NAME\nx \\- y\n.nosuchmacro\n\\*[none]\n").unwrap();
    let page = page.to_str().unwrap();
    assert!(made.output("groff", &["-man", "-Tutf8", "-ww", "-z", page]).contains("warning"));
    assert!(made.output("mandoc", &["-T", "lint", "-W", "warning", page]).contains("unknown macro"));
}
