//! Which of several offers to take: the only one, or the one a person at a terminal points at.

use std::io::{IsTerminal, Write, stderr, stdin};

use smol::future;

use super::search::Found;
use crate::exit::Failure;
use crate::stop::Stop;
use crate::ui::{Event, Ui, what};

/// One of the offers found.
pub(super) async fn choose(ui: &Ui, stop: &Stop, mut found: Vec<Found>) -> Result<Found, Failure> {
    // A sender with several addresses offers each drop once.
    found.sort_by_key(|found| (found.offer.token, found.from));
    found.dedup_by_key(|found| found.offer.token);
    if found.len() == 1
        && let Some(only) = found.pop()
    {
        return Ok(only);
    }
    if ui.is_for_people() && stdin().is_terminal() && stderr().is_terminal() {
        return ask(stop, found).await;
    }
    if !ui.is_for_people() {
        for Found { offer, from, .. } in &found {
            ui.show(&Event::Offer {
                token: offer.token,
                from: *from,
                kind: offer.kind,
                name: &offer.name,
                size: offer.size,
                ttl: offer.ttl_left,
            })?;
        }
    }
    let mut message = String::from("several drops are offered: name one with --token");
    for found in &found {
        message.push_str(&format!("; {}", line(found)));
    }
    Err(Failure::usage(message))
}

fn line(found: &Found) -> String {
    let offer = &found.offer;
    format!("{} {}, from {}", offer.token, what(offer.kind, &offer.name, offer.size), found.from)
}

async fn ask(stop: &Stop, mut found: Vec<Found>) -> Result<Found, Failure> {
    let mut err = stderr();
    for (i, found) in found.iter().enumerate() {
        let _ = writeln!(err, "{:>3}  {}", i + 1, line(found));
    }
    loop {
        let _ = write!(err, "Which one? [1-{}] ", found.len());
        let _ = err.flush();
        // On a thread of its own: a signal does not end the reading of a line, and it is to end us.
        let read = smol::unblock(|| {
            let mut answer = String::new();
            stdin().read_line(&mut answer).map(|length| (length, answer))
        });
        let answered = async {
            match read.await {
                Ok((1.., answer)) => Ok(answer),
                Ok((0, _)) | Err(_) => Err(Failure::usage("no drop was chosen")),
            }
        };
        let answer = future::or(async { Err(stop.wait().await) }, answered).await?;
        if let Ok(n @ 1..) = answer.trim().parse::<usize>()
            && n <= found.len()
        {
            return Ok(found.swap_remove(n - 1));
        }
    }
}
