//! Which of several offers to take: the only one, or the one a person at a terminal points at.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use super::search::Found;
use crate::exit::Failure;
use crate::ui::{Ui, escape};

/// One of the offers found.
pub(super) fn choose(ui: &Ui, mut found: Vec<Found>) -> Result<Found, Failure> {
    // A sender with several addresses offers each drop once.
    found.sort_by_key(|found| (found.offer.token, found.from));
    found.dedup_by_key(|found| found.offer.token);
    if found.len() == 1
        && let Some(only) = found.pop()
    {
        return Ok(only);
    }
    if ui.is_for_people() && stdin().is_terminal() && stderr().is_terminal() {
        return ask(found);
    }
    let mut message = String::from("several drops are offered: name one with --token");
    for found in &found {
        message.push_str(&format!("; {}", line(found)));
    }
    Err(Failure::usage(message))
}

fn line(found: &Found) -> String {
    let offer = &found.offer;
    let name = match offer.name.as_str() {
        "" => String::new(),
        name => format!(" \"{}\"", escape::line(name)),
    };
    format!("{} {}{name}, {} bytes, from {}", offer.token, offer.kind, offer.size, found.from)
}

fn ask(mut found: Vec<Found>) -> Result<Found, Failure> {
    let mut err = stderr();
    for (i, found) in found.iter().enumerate() {
        let _ = writeln!(err, "{:>3}  {}", i + 1, line(found));
    }
    loop {
        let _ = write!(err, "Which one? [1-{}] ", found.len());
        let _ = err.flush();
        let mut answer = String::new();
        match stdin().lock().read_line(&mut answer) {
            Ok(0) | Err(_) => return Err(Failure::usage("no drop was chosen")),
            Ok(_) => {}
        }
        if let Ok(n @ 1..) = answer.trim().parse::<usize>()
            && n <= found.len()
        {
            return Ok(found.swap_remove(n - 1));
        }
    }
}
