//! Which of several offers to take: the only one, or the one a person at a terminal points at.

use std::io::{IsTerminal, stderr, stdin};

use deaddrop::{Endpoint, FoundOffer};
use smol::future;

use crate::exit::Failure;
use crate::signals::Signals;
use crate::ui::{Event, Ui, what};

/// One of the offers found.
pub(super) async fn choose(
    ui: &Ui,
    signals: &Signals,
    mut found: Vec<FoundOffer>,
) -> Result<FoundOffer, Failure> {
    if found.len() == 1
        && let Some(only) = found.pop()
    {
        return Ok(only);
    }
    if ui.is_for_people() && stdin().is_terminal() && stderr().is_terminal() {
        return ask(ui, signals, found).await;
    }
    if !ui.is_for_people() {
        for found in &found {
            ui.show(&Event::offer(&found.offer, found.from)).await?;
        }
    }
    let mut message =
        String::from("several drops are offered: name one with --token, or its sender with --from");
    for found in &found {
        message.push_str(&format!("; {}", line(found)));
    }
    Err(Failure::usage(message))
}

fn line(found: &FoundOffer) -> String {
    let offer = &found.offer;
    format!("{} {}, from {}", offer.token, what(offer.kind, &offer.name, offer.size), Endpoint(found.from))
}

async fn ask(ui: &Ui, signals: &Signals, mut found: Vec<FoundOffer>) -> Result<FoundOffer, Failure> {
    for (i, found) in found.iter().enumerate() {
        ui.ask(format!("{:>3}  {}\n", i + 1, line(found))).await?;
    }
    loop {
        ui.ask(format!("Which one? [1-{}] ", found.len())).await?;
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
        let answer = future::or(async { Err(signals.wait().await) }, answered).await?;
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

    use deaddrop::{Kind, Name, Offer, Token};

    use super::*;
    use smol::block_on;

    #[test]
    fn a_copied_token_hides_nobody() {
        let sink = || Box::new(std::io::sink());
        let ui = Ui::with_streams(true, false, false, &Signals::default(), sink(), sink());
        let offer = Offer {
            token: Token::from_bytes([7; 16]),
            kind: Kind::Message,
            name: Name::default(),
            size: 5,
            ttl_left: Duration::from_secs(9),
            fetches_left: 1,
        };
        let found = |last| FoundOffer::new(offer.clone(), ([10, 0, 0, last], 48_556).into());
        let message =
            block_on(choose(&ui, &Signals::default(), vec![found(2), found(1)])).unwrap_err().message;
        assert!(message.contains("10.0.0.1:48556") && message.contains("10.0.0.2:48556"), "{message}");
        assert!(block_on(choose(&ui, &Signals::default(), vec![found(1)])).is_ok());
    }
}
