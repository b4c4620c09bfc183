//! What `nft list ruleset` prints, as tables, chains and rules.

use std::collections::BTreeMap;

/// All tables.
#[derive(Debug, Default)]
pub(super) struct Ruleset {
    pub(super) tables: Vec<Table>,
}

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    /// ip, ip6, inet, or one that is of no meaning here.
    pub(super) family: String,
    pub(super) name: String,
    pub(super) chains: BTreeMap<String, Chain>,
}

/// One chain.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Whether packets to this machine begin here.
    pub(super) is_input: bool,
    /// Whether a packet that comes to its end is dropped.
    pub(super) drops: bool,
    /// Its rules, each as words. A set in braces is one word.
    pub(super) rules: Vec<Vec<String>>,
}

impl Ruleset {
    /// Reads the list. Lines that are no part of a chain are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut ruleset = Self::default();
        // The name of the chain that the lines are in; `None` outside of one.
        let mut chain: Option<String> = None;
        for line in joined(text) {
            let words = words(&line);
            let plain: Vec<&str> = words.iter().map(String::as_str).collect();
            match plain[..] {
                ["table", family, name, "{"] => {
                    let (family, name) = (family.to_owned(), name.to_owned());
                    ruleset.tables.push(Table { family, name, chains: BTreeMap::new() });
                    chain = None;
                }
                ["chain", name, "{"] => {
                    chain = Some(name.to_owned());
                    ruleset.chain(name);
                }
                // A set or a map, whose lines are no rules.
                [.., "{"] | ["}"] => chain = None,
                [] => {}
                ["type", ..] => {
                    let Some(chain) = chain.as_deref().and_then(|name| ruleset.chain(name)) else { continue };
                    chain.is_input = plain.windows(2).any(|two| two == ["hook", "input"]);
                    chain.drops =
                        plain.windows(2).any(|two| two[0] == "policy" && two[1].starts_with("drop"));
                }
                _ => {
                    if let Some(chain) = chain.as_deref().and_then(|name| ruleset.chain(name)) {
                        chain.rules.push(words);
                    }
                }
            }
        }
        ruleset
    }

    fn chain(&mut self, name: &str) -> Option<&mut Chain> {
        Some(self.tables.last_mut()?.chains.entry(name.to_owned()).or_default())
    }
}

/// The lines, with what nft breaks inside of braces in one.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = 0;
    for line in text.lines() {
        let line = line.trim();
        match lines.last_mut().filter(|_| open > 0) {
            Some(last) => {
                last.push(' ');
                last.push_str(line);
            }
            None => lines.push(line.to_owned()),
        }
        // A brace at the end of its line opens a table, a chain or a set; elsewhere it opens a list of values.
        let opened = line.matches('{').count() - usize::from(line.ends_with('{') && !line.contains('='));
        let closed = if line == "}" && open == 0 { 0 } else { line.matches('}').count() };
        open = (open + opened).saturating_sub(closed);
    }
    lines
}

/// The words of a line. What is in quotes is one word without them, what is in braces one with them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut depth) = (false, 0_usize);
    // The brace that opens a block is a word of its own.
    let (line, block) = match line.strip_suffix('{') {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => {
                depth += 1;
                word.push(c);
            }
            '}' if !quoted => {
                depth = depth.saturating_sub(1);
                word.push(c);
            }
            c if c.is_whitespace() && !quoted && depth == 0 => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    if block {
        words.push("{".into());
    }
    words
}
