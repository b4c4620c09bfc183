extern crate std;
use core::cell::RefCell;
use std::format;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use super::*;
use crate::boot::flash::{Flash, FlashError};

/// Words and erase blocks as the LM3S6965 has them, the blocks smaller so that the log soon comes round.
type Model = Flash<4, 256>;

/// One flash, under several `FlashValues` in turn.
#[derive(Clone)]
struct Shared(Rc<RefCell<Model>>);

impl ErrorType for Shared {
    type Error = FlashError;
}

impl ReadNorFlash for Shared {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl NorFlash for Shared {
    const WRITE_SIZE: usize = Model::WRITE_SIZE;
    const ERASE_SIZE: usize = Model::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

const KEY: &str = "api-key";

fn erased() -> Shared {
    Shared(Rc::new(RefCell::new(Model { clears_bits: true, ..Model::of_sizes(2) })))
}

/// The values at a start.
fn started(flash: &Shared) -> FlashValues<Shared, 0, 512, 128> {
    FlashValues::new(flash.clone())
}

fn get(values: &impl Values, name: &str) -> Option<Vec<u8>> {
    let mut to = [0; 64];
    values.get(name, &mut to).unwrap().map(|length| to[..length].to_vec())
}

/// The `n`th value: of another length and other bytes than its neighbours.
fn value(n: u8) -> Vec<u8> {
    vec![n; 20 + usize::from(n % 5)]
}

/// What every kind of values does.
fn keeps_values(values: &impl Values) {
    assert_eq!(get(values, KEY), None);
    values.put(KEY, b"secret").unwrap();
    values.put("mode", b"1").unwrap();
    assert_eq!((get(values, KEY), get(values, "mode")), (Some(b"secret".to_vec()), Some(b"1".to_vec())));
    values.put(KEY, b"another secret").unwrap();
    assert_eq!(get(values, KEY), Some(b"another secret".to_vec()));
    assert_eq!(values.get(KEY, &mut [0; 13]), Err(ValuesError::Buffer));
    values.remove(KEY).unwrap();
    assert_eq!((get(values, KEY), get(values, "mode")), (None, Some(b"1".to_vec())));
    for name in ["", &"x".repeat(33)] {
        assert_eq!(values.put(name, b"1"), Err(ValuesError::Name));
        assert_eq!(values.get(name, &mut [0; 64]), Err(ValuesError::Name));
    }
    assert_eq!(values.put(KEY, &[1; 4_000]), Err(ValuesError::Full));
    assert_eq!((get(values, KEY), get(values, "mode")), (None, Some(b"1".to_vec())));
    values.wipe().unwrap();
    assert_eq!(get(values, "mode"), None);
}

#[test]
fn flash_and_ram_keep_values() {
    keeps_values(&started(&erased()));
    keeps_values(&RamValues::<256, 4>::new());
}

#[test]
fn a_value_outlives_a_reset_and_its_bytes_no_wipe() {
    let flash = erased();
    started(&flash).put(KEY, b"a secret of the room").unwrap();
    assert_eq!(get(&started(&flash), KEY), Some(b"a secret of the room".to_vec()));
    started(&flash).wipe().unwrap();
    assert_eq!(get(&started(&flash), KEY), None);
    assert!(flash.0.borrow().bytes.iter().all(|byte| *byte == 0xFF));
}

#[test]
fn the_log_goes_round_for_ever() {
    let flash = erased();
    started(&flash).put("first", b"stays").unwrap();
    for n in 0..200 {
        started(&flash).put(KEY, &value(n)).unwrap();
        assert_eq!(get(&started(&flash), KEY), Some(value(n)), "{n}");
        assert_eq!(get(&started(&flash), "first"), Some(b"stays".to_vec()), "{n}");
    }
    assert!(flash.0.borrow().erased > 10, "blocks were erased");
}

/// Puts one value after the other until the power fails. Returns how many were put.
fn put_until_cut(flash: &Shared, puts: u8) -> u8 {
    let values = started(flash);
    (0..puts).take_while(|n| values.put(KEY, &value(*n)).is_ok()).count().try_into().unwrap()
}

#[test]
fn wherever_the_power_fails_the_value_is_the_old_one_or_the_new_one() {
    // Enough for the log to come round twice.
    const PUTS: u8 = 16;
    for torn in [0x00, 0xFF, 0x55] {
        let mut cuts = 0;
        loop {
            let flash = erased();
            started(&flash).put("first", b"stays").unwrap();
            {
                let mut flash = flash.0.borrow_mut();
                (flash.power, flash.torn) = (Some(cuts), torn);
            }
            let put = put_until_cut(&flash, PUTS);
            flash.0.borrow_mut().power = None;
            let at = format!("{torn:#04x}, cut after {cuts} bytes, in put {put}");
            let old = put.checked_sub(1).map(value);
            let new = Some(value(put));
            let is = get(&started(&flash), KEY);
            assert!(is == old || (put < PUTS && is == new), "{at}: {is:?}");
            assert_eq!(get(&started(&flash), KEY), is, "{at}: the same at the next start");
            assert_eq!(get(&started(&flash), "first"), Some(b"stays".to_vec()), "{at}");
            // It goes on.
            started(&flash).put(KEY, b"after it").unwrap();
            assert_eq!(get(&started(&flash), KEY), Some(b"after it".to_vec()), "{at}");
            if put == PUTS {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 700, "{cuts} bytes");
    }
}

#[test]
fn a_file_of_one_name_is_persisted_and_nothing_else() {
    use deaddrop_core::offer::Name;
    let keep = KeepFile::new(KEY, started(&erased()));
    let mut store = BoardStore::new();
    let mut persist = |kind, name: &str, bytes: &[u8]| {
        let slot = store.reserve(&Name::new(name).unwrap(), kind, bytes.len() as u64).unwrap();
        store.write(slot, 0, bytes).unwrap();
        store.finish(slot).unwrap();
        let persisted = keep.persist(&store, slot);
        store.remove(slot).unwrap();
        persisted
    };
    assert_eq!(persist(Kind::File, "other", b"1"), Ok(()));
    assert_eq!(persist(Kind::Message, "", b"2"), Ok(()));
    assert_eq!(get(keep.values(), KEY), None);
    assert_eq!(persist(Kind::File, KEY, b"3"), Ok(()));
    assert_eq!(get(keep.values(), KEY), Some(b"3".to_vec()));
    assert_eq!(persist(Kind::File, KEY, b""), Err(NotPersisted));
    assert_eq!(persist(Kind::File, KEY, &[0; 200]), Err(NotPersisted));
    assert_eq!(get(keep.values(), KEY), Some(b"3".to_vec()));
}
