//! Which of several offers to take: the only one, or the one a person at a terminal points at.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use super::search::Found;
use crate::exit::Failure;
use crate::ui::{Ui, escape};

/// One of the offers found.
pub(super) fn choose(ui: &Ui, mut found: Vec<Found>) -> Result<Found, Failure> {
    // Whoever copies the token of another's drop must not stand in its place: both are shown.
    found.sort_by_key(|found| (found.offer.token, found.from));
    if found.len() == 1
        && let Some(only) = found.pop()
    {
        return Ok(only);
    }
    if ui.is_for_people() && stdin().is_terminal() && stderr().is_terminal() {
        return ask(found);
    }
    let mut message =
        String::from("several drops are offered: name one with --token, or its sender with --from");
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deaddrop_core::offer::{Kind, Name, Offer};
    use deaddrop_core::token::Token;

    use super::*;

    #[test]
    fn a_copied_token_hides_nobody() {
        let ui = Ui::with_streams(true, false, false, Box::new(std::io::sink()), Box::new(std::io::sink()));
        let offer = Offer {
            token: Token::from_bytes([7; 16]),
            kind: Kind::Message,
            name: Name::default(),
            size: 5,
            ttl_left: Duration::from_secs(9),
            fetches_left: 1,
        };
        let found = |last| Found::new(offer.clone(), ([10, 0, 0, last], 48_556).into());
        let message = choose(&ui, vec![found(2), found(1)]).unwrap_err().message;
        assert!(message.contains("10.0.0.1:48556") && message.contains("10.0.0.2:48556"), "{message}");
        assert!(choose(&ui, vec![found(1)]).is_ok());
    }
}
