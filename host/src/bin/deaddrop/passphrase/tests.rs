use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use smol::block_on;

async fn never() -> Result<Zeroizing<String>, Failure> {
    panic!("asked")
}

async fn choose(
    args: RoomArgs,
    surroundings: Surroundings,
    ask: impl AsyncFnOnce() -> Result<Zeroizing<String>, Failure>,
) -> Result<Zeroizing<String>, Failure> {
    super::choose(args, surroundings, ask).await.map(|found| found.passphrase)
}

/// No variable, and no home.
fn nowhere() -> Surroundings {
    Surroundings { variable: None, rooms: None }
}

fn file(folder: &tempfile::TempDir, bytes: &[u8], mode: u32) -> PathBuf {
    let path = folder.path().join("room");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path
}

fn read(bytes: &[u8], mode: u32) -> Result<String, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let args = RoomArgs { room_file: Some(file(&folder, bytes, mode)), ..RoomArgs::default() };
    block_on(choose(args, nowhere(), never)).map(|passphrase| passphrase.to_string())
}

/// Everything is given, and then one after the other is left out, first to last.
#[test]
fn the_first_source_given_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, b"file", 0o600);
    let rooms = Rooms::at(folder.path().join("rooms"));
    room_file::create(&rooms.path(&"work".parse().unwrap()), "name").unwrap();
    room_file::create(&rooms.path(&RoomName::default_room()), "default").unwrap();
    let got = |from: usize| {
        let given = |at: usize| from <= at;
        let args = RoomArgs {
            room: given(0).then(|| "room".parse().unwrap()),
            room_file: given(1).then(|| path.clone()),
            room_name: given(2).then(|| "work".parse().unwrap()),
        };
        let variable = given(3).then(|| OsString::from("variable"));
        if !given(4) {
            fs::remove_file(rooms.path(&RoomName::default_room())).unwrap();
        }
        let asked = async || Ok(Zeroizing::new("asked".into()));
        block_on(choose(args, Surroundings { variable, rooms: Some(rooms.clone()) }, asked))
            .unwrap()
            .to_string()
    };
    let order: Vec<_> = (0..6).map(got).collect();
    assert_eq!(order, ["room", "file", "name", "variable", "default", "asked"]);
}

#[test]
fn without_a_home_there_is_no_default_and_a_name_is_refused() {
    let asked = async || Ok(Zeroizing::new("asked".into()));
    assert_eq!(block_on(choose(RoomArgs::default(), nowhere(), asked)).unwrap().as_str(), "asked");
    let args = RoomArgs { room_name: Some("work".parse().unwrap()), ..RoomArgs::default() };
    let failure = block_on(choose(args, nowhere(), never)).unwrap_err();
    assert!(failure.exit.code() == 2 && failure.message.contains("HOME"), "{}", failure.message);
}

#[test]
fn a_room_that_is_not_there_or_not_private_is_refused_and_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let rooms = Rooms::at(folder.path().to_owned());
    let refused = |name: Option<&str>| {
        let args = RoomArgs { room_name: name.map(|name| name.parse().unwrap()), ..RoomArgs::default() };
        let surroundings = Surroundings { variable: None, rooms: Some(rooms.clone()) };
        let failure = block_on(choose(args, surroundings, never)).unwrap_err();
        assert_eq!(failure.exit.code(), 2);
        failure.message
    };
    assert!(refused(Some("work")).contains("there is no room work"));
    let default = rooms.path(&RoomName::default_room());
    fs::write(&default, "secret").unwrap();
    fs::set_permissions(&default, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(refused(None).contains("chmod 600"));
    fs::remove_file(&default).unwrap();
    // A link that leads nowhere is a room that was meant.
    std::os::unix::fs::symlink("nowhere", &default).unwrap();
    assert!(refused(None).contains("cannot read the room file"));
}

#[test]
fn a_new_passphrase_is_the_same_twice() {
    let typed = |first: &'static str, second: &'static str| {
        let answers = std::cell::RefCell::new(vec![second, first]);
        block_on(twice(async |_| Ok(Zeroizing::new(answers.borrow_mut().pop().unwrap().to_owned()))))
    };
    assert_eq!(typed("four words", "four words").unwrap().as_str(), "four words");
    for (first, second) in [("four words", "four word"), ("four words", ""), ("", "")] {
        let failure = typed(first, second).unwrap_err();
        assert_eq!(failure.exit.code(), 2);
        assert!(!failure.message.contains("word "), "{}", failure.message);
    }
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
    let private = platform::Access { foreign: false, exposed: false };
    for exposed in [false, true] {
        let foreign = platform::Access { foreign: true, exposed };
        let failure = room_file::private(path, foreign).unwrap_err();
        assert!(failure.message.contains("another user"));
    }
    assert_eq!(room_file::private(path, private), Ok(()));
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
    let failure = block_on(choose(
        RoomArgs::default(),
        Surroundings { variable: Some(OsString::new()), rooms: None },
        never,
    ))
    .unwrap_err();
    assert!(failure.message.contains(VARIABLE));
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing"), folder.path().to_owned()] {
        let args = RoomArgs { room_file: Some(path.clone()), ..RoomArgs::default() };
        let failure = block_on(choose(args, nowhere(), never)).unwrap_err();
        assert!(failure.message.contains(&path.display().to_string()));
    }
}
