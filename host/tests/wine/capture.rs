//! What a sniffer gets between Windows and Linux.

use data_encoding::{BASE64_NOPAD, HEXLOWER};

use crate::scene::{Scene, WAYS};
use crate::support::{Capture, ROOM, noise, write};

const MESSAGE: &str = "the boat leaves from pier eleven at dawn";
const NAME: &str = "harbour plan for monday.bin";
const SIZE: usize = 300_007;

/// A text as it is, as Windows has it in memory, and as it may be encoded.
fn forms(name: &str, text: &str) -> Vec<(String, Vec<u8>)> {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The last characters are shared with what stands behind.
    let base64 = BASE64_NOPAD.encode(text.as_bytes());
    vec![
        (format!("{name}, raw"), text.into()),
        (format!("{name}, UTF-16"), wide),
        (format!("{name}, hex"), HEXLOWER.encode(text.as_bytes()).into()),
        (format!("{name}, base64"), base64[..base64.len() - 2].into()),
    ]
}

#[test]
#[ignore = "cargo xtask windows"]
fn nothing_secret_is_on_the_wire() {
    let scene = Scene::on_a_network();
    let (folder, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(7, SIZE);
    write(folder.path(), NAME, &content);
    let capture = Capture::start(scene.lan());
    let mut needles = [forms("the passphrase", ROOM), forms("the message", MESSAGE), forms("the name", NAME)];
    for (from, to) in WAYS {
        for arguments in [["send-msg", MESSAGE], ["send-file", NAME]] {
            let (mut sending, token, _) = scene.send(from, folder.path(), &arguments, b"");
            let mut fetching = scene.spawn(to, here.path(), &["fetch", "--json"], b"");
            assert_eq!((fetching.exit_code(), sending.exit_code()), (0, 0), "{:?}", fetching.events);
            needles[0].extend(forms("a token", &token));
        }
    }
    let traffic = capture.end();
    let mut needles = needles.concat();
    needles.push(("the beginning of the file".into(), content[..16].into()));
    needles.push(("the end of the file".into(), content[SIZE - 16..].into()));

    // It is the exchange that was captured: beacons of both, and the file from each.
    for system in WAYS.map(|(system, _)| system) {
        let own = scene.host(system).ip.parse::<std::net::IpAddr>().unwrap();
        let datagrams = traffic.datagrams();
        let beacons = datagrams.iter().filter(|((from, _), _)| from.ip() == own);
        assert!(beacons.filter(|(_, payload)| payload.starts_with(b"DDRP\x01")).count() > 0, "{system:?}");
        let streams = traffic.streams();
        let sent = streams.iter().filter(|((from, _), _)| from.ip() == own);
        assert!(sent.map(|(_, bytes)| bytes.len()).max() > Some(SIZE), "{system:?}");
    }
    assert_eq!(traffic.search(&needles), Vec::<&str>::new());
    // What is not secret is found.
    let magic = [("the magic".to_owned(), b"DDRP\x01".to_vec())];
    assert_eq!(traffic.search(&magic), ["the magic"]);
}
