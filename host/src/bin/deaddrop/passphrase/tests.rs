use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use smol::block_on;

async fn never() -> Result<Zeroizing<String>, Failure> {
    panic!("asked")
}

fn file(folder: &tempfile::TempDir, bytes: &[u8], mode: u32) -> PathBuf {
    let path = folder.path().join("room");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path
}

fn read(bytes: &[u8], mode: u32) -> Result<String, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let args = RoomArgs { room: None, room_file: Some(file(&folder, bytes, mode)) };
    block_on(choose(args, None, never)).map(|passphrase| passphrase.to_string())
}

#[test]
fn the_first_source_given_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, b"file", 0o600);
    let variable = Some(OsString::from("variable"));
    let room = || Some("room".parse().unwrap());
    let asked = async || Ok(Zeroizing::new("asked".into()));
    let got = |args, variable| block_on(choose(args, variable, asked)).unwrap().to_string();
    assert_eq!(got(RoomArgs { room: room(), room_file: Some(path.clone()) }, variable.clone()), "room");
    assert_eq!(got(RoomArgs { room: None, room_file: Some(path) }, variable.clone()), "file");
    assert_eq!(got(RoomArgs::default(), variable), "variable");
    assert_eq!(got(RoomArgs::default(), None), "asked");
}

#[test]
fn a_file_that_others_can_reach_is_refused() {
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666] {
        let failure = read(b"secret", mode).unwrap_err();
        assert_eq!(failure.exit.code(), 2);
        assert!(failure.message.contains("chmod 600") && !failure.message.contains("secret"), "{mode:o}");
    }
    assert_eq!(read(b"secret", 0o600).as_deref(), Ok("secret"));
    assert_eq!(read(b"secret", 0o400).as_deref(), Ok("secret"));
}

#[test]
fn a_file_that_belongs_to_someone_else_is_refused() {
    let path = Path::new("room");
    let failure = private(path, 1_001, 0o100_600, 1_000).unwrap_err();
    assert!(failure.message.contains("another user"));
    assert_eq!(private(path, 1_000, 0o100_600, 1_000), Ok(()));
    assert_eq!(private(path, 0, 0o100_600, 1_000), Ok(()), "the administrator may hand one out");
}

#[test]
fn one_trailing_line_end_is_dropped_and_nothing_else() {
    assert_eq!(read(b"a b \n", 0o600).as_deref(), Ok("a b "));
    assert_eq!(read(b"a\r\n", 0o600).as_deref(), Ok("a"));
    assert_eq!(read(b"a\n\n", 0o600).as_deref(), Ok("a\n"));
    assert_eq!(read(b"a\r", 0o600).as_deref(), Ok("a\r"));
}

#[test]
fn a_byte_order_mark_is_named() {
    for bytes in [&b"\xef\xbb\xbfa b"[..], b"\xff\xfea\0", b"\xfe\xff\0a"] {
        let failure = read(bytes, 0o600).unwrap_err();
        assert_eq!(failure.exit.code(), 2);
        assert!(failure.message.contains("UTF-8 without BOM"), "{}", failure.message);
    }
}

#[test]
fn the_length_is_checked_after_that() {
    let longest = vec![b'x'; PASSPHRASE_MAX];
    assert!(read(&longest, 0o600).is_ok());
    assert!(read(&[&longest[..], b"\r\n"].concat(), 0o600).is_ok());
    for extra in [&b"x"[..], b"x\r\n", b"xxxxxxxx"] {
        assert!(read(&[&longest, extra].concat(), 0o600).is_err_and(|f| f.message.contains("too long")));
    }
    for empty in [&b""[..], b"\n"] {
        assert!(read(empty, 0o600).is_err_and(|f| f.message.contains("empty")));
    }
    assert!(read(&[0xff, 0xfe], 0o600).is_err_and(|f| f.message.contains("UTF-8")));
}

#[test]
fn an_empty_variable_is_an_error_and_not_a_question() {
    let failure = block_on(choose(RoomArgs::default(), Some(OsString::new()), never)).unwrap_err();
    assert!(failure.message.contains(VARIABLE));
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing"), folder.path().to_owned()] {
        let args = RoomArgs { room: None, room_file: Some(path.clone()) };
        let failure = block_on(choose(args, None, never)).unwrap_err();
        assert!(failure.message.contains(&path.display().to_string()));
    }
}
