extern crate std;

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;
use proptest::prelude::*;

fn named(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn put<const B: usize, const E: usize>(store: &mut Store<B, E>, name: &str, bytes: &[u8]) -> Slot {
    let slot = store.reserve(&named(name), Kind::File, bytes.len() as u64).unwrap();
    store.write(slot, 0, bytes).unwrap();
    store.finish(slot).unwrap();
    slot
}

#[test]
fn a_file_of_16_kib_and_its_name_fit_exactly() {
    const SIZE: usize = 16 * 1024;
    let name = "n".repeat(NAME_MAX);
    let mut store = Store::<{ SIZE + NAME_MAX }, 4>::new();
    assert_eq!(
        store.reserve(&named(&name), Kind::File, SIZE as u64 + 1),
        Err(NoSpace { needed: SIZE as u64 + 1, free: SIZE })
    );
    let bytes: Vec<u8> = (0..=255).cycle().take(SIZE).collect();
    let slot = put(&mut store, &name, &bytes);
    assert_eq!(store.free(), 0);
    assert_eq!(store.bytes(slot), Some(&bytes[..]));
    assert_eq!(store.reserve(&named("x"), Kind::File, 0), Err(NoSpace { needed: 0, free: 0 }));
    store.remove(slot).unwrap();
    assert_eq!(store.free(), SIZE + NAME_MAX);
    put(&mut store, &name, &bytes);
}

#[test]
fn what_cannot_fit_is_refused_before_anything_changes() {
    let mut store = Store::<64, 2>::new();
    let slot = put(&mut store, "a", b"secret");
    let before = store.arena;
    for size in [58, 1_000, u64::MAX, u64::from(u32::MAX)] {
        let no_space = store.reserve(&named("b"), Kind::File, size).unwrap_err();
        assert_eq!(no_space, NoSpace { needed: size, free: 56 });
    }
    assert_eq!((store.arena, store.free()), (before, 57));
    assert!(store.reserve(&named("b"), Kind::File, 56).is_ok());
    assert_eq!(store.get(slot).unwrap().name, "a");
    assert_eq!(
        NoSpace { needed: 58, free: 56 }.to_string(),
        "58 bytes do not fit, at most 56 do: forget something first"
    );
}

#[test]
fn every_entry_has_a_place_and_no_more() {
    let mut store = Store::<64, 2>::new();
    let first = put(&mut store, "a", b"");
    put(&mut store, "b", b"");
    assert_eq!(store.reserve(&named("c"), Kind::File, 1), Err(NoSpace { needed: 1, free: 0 }));
    store.remove(first).unwrap();
    assert!(store.reserve(&named("c"), Kind::File, 1).is_ok());
}

#[test]
fn what_is_removed_is_nowhere_in_the_memory() {
    let mut store = Store::<128, 4>::new();
    let kept = put(&mut store, "kept", b"0123456789");
    let gone = put(&mut store, "password", b"correct horse battery staple");
    let after = put(&mut store, "after", b"x");
    store.remove(gone).unwrap();
    let holds = |store: &Store<128, 4>, what: &[u8]| store.arena.windows(what.len()).any(|w| w == what);
    for piece in [&b"password"[..], b"correct", b"horse", b"battery", b"staple"] {
        assert!(!holds(&store, piece), "{piece:?}");
    }
    assert!(store.arena[store.used..].iter().all(|b| *b == 0), "nor a second copy of what has moved");
    assert_eq!(store.bytes(kept), Some(&b"0123456789"[..]));
    assert_eq!(store.bytes(after), Some(&b"x"[..]));
    store.wipe();
    assert!(store.arena.iter().all(|b| *b == 0));
    assert_eq!(store.iter().count(), 0);
}

#[test]
fn after_the_middle_one_goes_all_that_is_free_can_be_used() {
    let mut store = Store::<96, 4>::new();
    let first = put(&mut store, "a", &[1; 31]);
    let middle = put(&mut store, "b", &[2; 31]);
    let last = put(&mut store, "c", &[3; 31]);
    store.remove(middle).unwrap();
    assert_eq!(store.free(), 32);
    let again = put(&mut store, "d", &[4; 31]);
    for (slot, byte) in [(first, 1), (last, 3), (again, 4)] {
        assert_eq!(store.bytes(slot), Some(&[byte; 31][..]));
    }
}

#[test]
fn a_slot_names_nothing_once_its_entry_is_gone() {
    let mut store = Store::<64, 1>::new();
    let old = put(&mut store, "a", b"1");
    store.remove(old).unwrap();
    let new = put(&mut store, "a", b"2");
    assert_eq!((old.number(), new.number()), (1, 1));
    assert!(store.get(old).is_none() && store.bytes(old).is_none());
    assert_eq!(store.read(old, 0, &mut [0; 4]), Err(StoreError::Gone));
    assert_eq!(store.remove(old), Err(StoreError::Gone));
    assert_eq!(store.set_offered(old, None), Err(StoreError::Gone));
    assert_eq!(store.bytes(new), Some(&b"2"[..]));
}

#[test]
fn bytes_come_in_order_and_an_entry_is_whole_only_with_all_of_them() {
    let mut store = Store::<64, 2>::new();
    let slot = store.reserve(&named("a"), Kind::File, 6).unwrap();
    assert_eq!(store.write(slot, 1, b"x"), Err(StoreError::OutOfTurn), "a gap");
    assert_eq!(store.write(slot, 0, b"seven b"), Err(StoreError::OutOfTurn), "past the end");
    assert_eq!(store.write(slot, usize::MAX, b"x"), Err(StoreError::OutOfTurn));
    store.write(slot, 0, b"abc").unwrap();
    assert_eq!(store.bytes(slot), Some(&b"abc"[..]), "no byte that has not come is shown");
    assert_eq!(store.finish(slot), Err(StoreError::OutOfTurn));
    assert_eq!(store.set_offered(slot, Some(Token::from_bytes([1; 16]))), Err(StoreError::OutOfTurn));
    store.write(slot, 0, b"abcd").unwrap();
    store.write(slot, 4, b"ef").unwrap();
    store.finish(slot).unwrap();
    assert_eq!(store.write(slot, 0, b"x"), Err(StoreError::OutOfTurn), "it is whole");
    let mut to = [0; 4];
    assert_eq!(store.read(slot, 4, &mut to), Ok(2));
    assert_eq!(&to[..2], b"ef");
    assert_eq!(store.read(slot, 6, &mut to), Ok(0));
    assert_eq!(store.read(slot, 7, &mut to), Ok(0));
}

#[test]
fn an_entry_of_unknown_size_grows_where_it_stands() {
    let mut store = Store::<32, 3>::new();
    let growing = store.reserve(&named("g"), Kind::File, 0).unwrap();
    store.append(growing, b"one").unwrap();
    let other = put(&mut store, "o", b"other");
    let empty = put(&mut store, "e", b"");
    store.append(growing, b"two").unwrap();
    assert_eq!(store.bytes(growing), Some(&b"onetwo"[..]));
    assert_eq!(store.bytes(other), Some(&b"other"[..]));
    assert_eq!((store.get(other).unwrap().name, store.get(empty).unwrap().name), ("o", "e"));
    let free = store.free();
    assert_eq!(
        store.append(growing, &vec![b'x'; free + 1]),
        Err(StoreError::NoSpace(NoSpace { needed: free as u64 + 1, free }))
    );
    store.append(growing, &vec![b'x'; free]).unwrap();
    store.finish(growing).unwrap();
    assert_eq!(store.append(growing, b""), Err(StoreError::OutOfTurn));
}

#[test]
fn entries_are_found_by_name_number_and_token() {
    let mut store = Store::<128, 4>::new();
    let a = put(&mut store, "a.txt", b"1");
    let again = put(&mut store, "a.txt", b"2");
    let message = store.reserve(&named(""), Kind::Message, 0).unwrap();
    let token = Token::from_bytes([7; 16]);
    assert_eq!(store.offered(token), None);
    store.set_offered(again, Some(token)).unwrap();
    assert_eq!(store.offered(token).unwrap().slot, again);
    assert_eq!(store.find("a.txt").unwrap().slot, a);
    assert_eq!(store.find("a (1).txt").unwrap().slot, again);
    assert_eq!(store.find("message").unwrap().slot, message);
    assert_eq!(store.find("nothing"), None);
    assert_eq!(store.numbered(0), None);
    assert_eq!(store.numbered(2).unwrap().slot, again);
    assert_eq!((store.numbered(4), store.numbered(5), store.numbered(usize::MAX)), (None, None, None));
    store.remove(a).unwrap();
    assert_eq!(store.numbered(2).unwrap().slot, again, "numbers stay");
    assert_eq!(store.get(message).unwrap().offered_name(), "");
    assert_eq!(store.get(again).unwrap().offered_name(), "a (1).txt");
    store.set_offered(again, None).unwrap();
    assert_eq!(store.get(again).unwrap().state, State::Whole);
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(String, usize),
    Write(usize, usize),
    Append(usize, usize),
    Finish(usize),
    Remove(usize),
}

#[derive(Clone, Debug, PartialEq)]
struct Model {
    slot: Slot,
    name: String,
    size: usize,
    bytes: Vec<u8>,
    whole: bool,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => ("[ab]{0,2}(\\.c)?", 0..40_usize).prop_map(|(name, size)| Step::Reserve(name, size)),
        3 => (0..6_usize, 0..30_usize).prop_map(|(which, len)| Step::Write(which, len)),
        2 => (0..6_usize, 0..20_usize).prop_map(|(which, len)| Step::Append(which, len)),
        2 => (0..6_usize).prop_map(Step::Finish),
        2 => (0..6_usize).prop_map(Step::Remove),
    ]
}

proptest! {
    /// Against a list of entries that each own their bytes.
    #[test]
    fn it_behaves_like_entries_that_do_not_share_memory(steps in prop::collection::vec(step(), 0..60)) {
        let mut store = Store::<160, 5>::new();
        let mut model: Vec<Model> = Vec::new();
        let mut fill = 0_u8;
        let mut fresh = |len: usize| -> Vec<u8> {
            (0..len).map(|_| { fill = fill % 255 + 1; fill }).collect()
        };
        for step in steps {
            let used: usize = model.iter().map(|m| m.name.len() + m.size).sum();
            match step {
                Step::Reserve(wanted, size) => match store.reserve(&named(&wanted), Kind::File, size as u64) {
                    Ok(slot) => {
                        let name = store.get(slot).unwrap().name.to_string();
                        prop_assert!(model.iter().all(|m| m.name != name));
                        prop_assert!(used + name.len() + size <= 160);
                        model.push(Model { slot, name, size, bytes: Vec::new(), whole: false });
                    }
                    Err(no_space) => {
                        let longest = wanted.len().max(4) + 4;
                        prop_assert!(model.len() == 5 || used + longest + size > 160, "{no_space:?}");
                    }
                },
                Step::Write(which, len) => if let Some(m) = model.get_mut(which) {
                    let bytes = fresh(len);
                    let fits = !m.whole && m.bytes.len() + len <= m.size;
                    prop_assert_eq!(store.write(m.slot, m.bytes.len(), &bytes).is_ok(), fits);
                    if fits { m.bytes.extend(bytes) }
                },
                Step::Append(which, len) => if let Some(m) = model.get_mut(which) {
                    let bytes = fresh(len);
                    let fits = !m.whole && m.bytes.len() == m.size && used + len <= 160;
                    prop_assert_eq!(store.append(m.slot, &bytes).is_ok(), fits);
                    if fits { m.bytes.extend(bytes); m.size += len }
                },
                Step::Finish(which) => if let Some(m) = model.get_mut(which) {
                    let fits = !m.whole && m.bytes.len() == m.size;
                    prop_assert_eq!(store.finish(m.slot).is_ok(), fits);
                    m.whole |= fits;
                },
                Step::Remove(which) => if which < model.len() {
                    let m = model.remove(which);
                    prop_assert!(store.remove(m.slot).is_ok());
                    prop_assert!(store.get(m.slot).is_none());
                },
            }
            let used: usize = model.iter().map(|m| m.name.len() + m.size).sum();
            prop_assert_eq!(store.free(), 160 - used);
            prop_assert!(store.arena[used..].iter().all(|b| *b == 0), "what is free is blank");
            prop_assert_eq!(store.iter().count(), model.len());
            for m in &model {
                let held = store.get(m.slot).unwrap();
                prop_assert_eq!((held.name, held.size), (&m.name[..], m.size));
                prop_assert_eq!(held.state == State::Whole, m.whole);
                prop_assert_eq!(store.bytes(m.slot), Some(&m.bytes[..]));
                prop_assert_eq!(store.find(&m.name).map(|held| held.slot), Some(m.slot));
            }
        }
    }
}

#[test]
fn errors_say_what_to_do() {
    for error in [StoreError::Gone, StoreError::NoSpace(NoSpace { needed: 2, free: 1 })] {
        assert!(format!("{error}").contains(':'), "{error}");
    }
}
