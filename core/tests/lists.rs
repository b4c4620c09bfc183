//! Lists: their rules, and those that are longer than one connection (protocol.md, section 7).
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod net;

use deaddrop_core::exchange::{Fetch, List, ListEvent, Wanted};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::{HOST, LIST_ENTRIES, LIST_RECORDS};
use deaddrop_core::offer::{Kind, Name, Offer};
use deaddrop_core::session::{Channel, ClientError, ClientEvent, ClientSession};
use deaddrop_core::token::{Token, TokenPrefix};
use deaddrop_core::wire::{Answer, Request};
use net::harness::{Harness, answer, ask, reply};
use net::{ROOM, client, id, rng, seconds};

/// The `n`th token of a server.
fn token(n: u32) -> Token {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&(n + 1).to_be_bytes());
    Token::from_bytes(bytes)
}

fn offer(n: u32) -> Answer {
    Answer::Offer(Offer {
        token: token(n),
        kind: Kind::File,
        name: Name::default(),
        size: 1,
        ttl_left: seconds(60),
        fetches_left: 1,
    })
}

/// The request that a client sends, read by the server.
fn request(session: &mut ClientSession, server: &mut Channel) -> Request {
    let mut said = Harness::asked(session).remove(0);
    let opened = server.opener.open(&mut said).unwrap();
    Request::parse(&said[..opened.len]).unwrap()
}

/// The page of a server with `drops` drops that a request asks for.
fn page(asked: &Request, drops: u32) -> Vec<Answer> {
    let Request::List { after } = asked else { panic!("{asked:?}") };
    let left: Vec<u32> = (0..drops).filter(|n| Some(token(*n)) > *after).collect();
    let mut page: Vec<Answer> = left.iter().take(LIST_ENTRIES).map(|n| offer(*n)).collect();
    page.resize(LIST_ENTRIES, Answer::Filler);
    page.push(Answer::End { revision: 7, more: left.len() > LIST_ENTRIES });
    page
}

/// Passes these answers to the client; gives the lines of the list, or the first error.
fn pass(
    harness: &mut Harness,
    list: &mut List,
    session: &mut ClientSession,
    server: &mut Channel,
    answers: &[Answer],
) -> Result<Vec<ListEvent>, ClientError> {
    let mut lines = Vec::new();
    for said in answers {
        let message = reply(server, said, 512);
        if let Some(event) = harness.tell(session, &message)? {
            lines.extend(list.handle_event(harness.now, session, event)?);
        }
    }
    Ok(lines)
}

/// Reads the list of a server with `drops` drops, over as many connections as it takes.
fn read(drops: u32) -> Result<(Vec<Token>, u32), ClientError> {
    let harness = &mut Harness::new(1, &HOST);
    let (mut list, mut tokens) = (List::new(), Vec::new());
    for connections in 1.. {
        // The handshakes of a member cost nothing.
        *harness.guard = ClientGuard::new(harness.now);
        let (mut session, mut server) = harness.visit(ROOM);
        list.start(harness.now, &mut session).unwrap();
        'pages: loop {
            let answers = page(&request(&mut session, &mut server), drops);
            for line in pass(harness, &mut list, &mut session, &mut server, &answers)? {
                match line {
                    ListEvent::Offer(offer) => tokens.push(offer.token),
                    ListEvent::More => break 'pages,
                    ListEvent::End { revision: 7 } => return Ok((tokens, connections)),
                    line => panic!("{line:?}"),
                }
            }
        }
    }
    panic!("it ends or fails")
}

#[test]
fn a_list_goes_on_over_another_connection_until_its_end() {
    for (drops, connections) in [(0, 1), (7, 1), (105, 1), (106, 2), (150, 2), (1_050, 10)] {
        let tokens: Vec<Token> = (0..drops).map(token).collect();
        assert_eq!(read(drops), Ok((tokens, connections)), "{drops} drops");
    }
}

#[test]
fn lines_that_do_not_ascend_or_stand_behind_a_filler_are_refused() {
    let end = |more| Answer::End { revision: 7, more };
    let filled = |mut lines: Vec<Answer>, last| {
        lines.resize(LIST_ENTRIES, Answer::Filler);
        lines.push(last);
        lines
    };
    let read = |answers: &[Answer]| {
        let harness = &mut Harness::new(2, &HOST);
        let (mut session, mut server) = harness.visit(ROOM);
        let mut list = List::after(token(3));
        list.start(harness.now, &mut session).unwrap();
        request(&mut session, &mut server);
        pass(harness, &mut list, &mut session, &mut server, answers)
    };
    assert!(read(&filled(vec![offer(4), offer(5)], end(false))).is_ok());
    for (wrong, what) in [
        (filled(vec![offer(5), offer(4)], end(false)), "descending"),
        (filled(vec![offer(4), offer(4)], end(false)), "the same twice"),
        (filled(vec![offer(3)], end(false)), "the one asked after"),
        (filled(vec![offer(2)], end(false)), "one before that"),
        (filled(vec![Answer::Filler, offer(4)], end(false)), "behind a filler"),
        (filled(vec![offer(4)], end(true)), "more behind a filler"),
    ] {
        assert_eq!(read(&wrong).map(|_| ()), Err(ClientError::Protocol), "{what}");
    }
}

#[test]
fn a_drop_that_is_put_while_a_list_is_sent_does_not_stand_behind_a_filler() {
    let harness = &mut Harness::new(3, &HOST);
    let (mut session, mut channel) = harness.serve(client(1), ROOM);
    let list = ask(&mut channel, &Request::List { after: None });
    harness.hear(&mut session, &list);
    let mut said = Vec::new();
    for _ in 0..LIST_RECORDS {
        let mut buffer = vec![0; session.record_len()];
        let len = session.poll_transmit(harness.now, &mut harness.serving, &mut buffer).unwrap().unwrap();
        said.push(answer(&mut channel, &buffer[..len]));
        harness.put(1);
    }
    let fillers = said.iter().filter(|said| **said == Answer::Filler).count();
    assert_eq!(fillers, LIST_ENTRIES, "{said:?}");
    assert!(matches!(said.last(), Some(Answer::End { more: false, .. })), "{said:?}");
}

#[test]
fn a_drop_is_looked_up_by_its_token_however_many_there_are() {
    let harness = &mut Harness::new(4, &HOST);
    let wanted: TokenPrefix = token(149).to_string()[..8].parse().unwrap();
    assert!(!wanted.matches(&token(148)));
    let mut fetch = Fetch::new(&HOST, id(1), Wanted::Token(wanted), harness.now + seconds(5));
    fetch.handle_open(harness.now, None);
    let (mut session, mut server) = harness.visit(ROOM);
    fetch.handle_event(harness.now, &mut session, ClientEvent::Ready, &mut rng());
    while fetch.offer().is_none() {
        for said in page(&request(&mut session, &mut server), 10_000) {
            let message = reply(&mut server, &said, 512);
            if let Some(event) = harness.tell(&mut session, &message).unwrap() {
                fetch.handle_event(harness.now, &mut session, event, &mut rng());
            }
        }
    }
    assert_eq!(fetch.offer().unwrap().token, token(149));
}
