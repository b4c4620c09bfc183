//! Sends and receives without an executor: `cargo run --example blocking -- send TEXT`, `send-file PATH`,
//! `send-folder PATH`, `list`, or `fetch IP TOKEN`. The passphrase is in `DEADDROP_ROOM`.

use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use deaddrop::blocking::{
    BundleOptions, Ended, Kind, Receiver, Room, Sender, SenderBuilder, SenderEvent, TokenPrefix,
};
use deaddrop::text;

const USAGE: &str = "usage: DEADDROP_ROOM=... blocking send TEXT | send-file PATH | send-folder PATH | \
                     list | fetch IP TOKEN";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // It may quote a peer's words.
            eprintln!("blocking: {}", text::line(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let passphrase = std::env::var("DEADDROP_ROOM").map_err(|_| USAGE)?;
    let room = Room::from_passphrase(&passphrase)?;
    match arguments {
        ["send", text] => send(&room, Sender::message(text.as_bytes().to_vec())?),
        ["send-file", path] => send(&room, Sender::file(path)?),
        ["send-folder", path] => send(&room, Sender::bundle([path], &BundleOptions::default())?),
        ["list"] => list(&room),
        ["fetch", ip, token] => {
            let ip = ip.parse().map_err(|_| format!("{ip} is no address"))?;
            let token = token.parse().map_err(|error| format!("{token}: {error}"))?;
            fetch(&room, ip, token)
        }
        _ => Err(USAGE.into()),
    }
}

fn send(room: &Room, drop: SenderBuilder) -> Result<(), Box<dyn Error>> {
    let sender = drop.ttl(Duration::from_secs(120)).offer(room)?;
    for ip in sender.addresses() {
        println!("fetch {ip} {}", sender.token());
    }
    let ended = sender.serve(|event| match event {
        SenderEvent::Fetched { by } => println!("fetched by {by}"),
        other => eprintln!("{other:?}"),
    })?;
    match ended {
        Ended::Fetched => Ok(()),
        ended => Err(format!("the drop was not fetched: {ended:?}").into()),
    }
}

fn list(room: &Room) -> Result<(), Box<dyn Error>> {
    for found in Receiver::new(room).discover(Duration::from_secs(2))? {
        let offer = &found.offer;
        // A name is its sender's words, which may hold what a terminal obeys.
        let name = text::line(offer.name.as_str());
        println!("{} {} {name} {} bytes, from {}", offer.token, offer.kind, offer.size, found.from);
    }
    Ok(())
}

fn fetch(room: &Room, ip: IpAddr, token: TokenPrefix) -> Result<(), Box<dyn Error>> {
    let receiver = Receiver::new(room);
    let claim = receiver.claim_from(ip, None, token)?;
    match claim.offer().kind {
        Kind::Message => {
            let message = claim.message()?.content;
            println!("{}", text::lines(&message, "\n"));
        }
        _ => println!("saved as {}", claim.save(".")?.content.display()),
    }
    Ok(())
}
