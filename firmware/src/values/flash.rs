//! Values in NOR flash, as the map of `sequential-storage`: a log that goes round the erase blocks, so that they wear
//! evenly, and that is whole again at the next start wherever the power failed.

use core::cell::RefCell;

use embassy_futures::block_on;
use embedded_storage::nor_flash::NorFlash;
use embedded_storage_async::nor_flash as asynchronous;
use heapless::String;
use sequential_storage::Error;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};
use zeroize::Zeroize;

use super::{NAME_MAX, Values, ValuesError, check};

type Name = String<NAME_MAX>;
type Map<F> = MapStorage<Name, Blocking<F>, Cache<Uncached, Uncached, Uncached, Name>>;

/// Values in the flash from the offset `FROM` up to `TO`, each with its name at most `BUFFER` bytes long, rounded up to whole
/// words of the flash.
///
/// The range is at least two whole erase blocks, or it does not compile, and holds nothing else. The bytes of a value that was replaced or removed stay in
/// flash until the log comes round, or until [`Values::wipe`].
///
/// Plain NOR flash only: a chip whose flash has error correction (STM32H5, H7) traps when it reads a word whose writing the
/// power has cut, before the log can be mended.
pub struct FlashValues<F: NorFlash, const FROM: u32, const TO: u32, const BUFFER: usize>(
    RefCell<Inner<F, BUFFER>>,
);

struct Inner<F: NorFlash, const BUFFER: usize> {
    map: Map<F>,
    buffer: [u8; BUFFER],
}

impl<F: NorFlash, const FROM: u32, const TO: u32, const BUFFER: usize> FlashValues<F, FROM, TO, BUFFER> {
    const CONFIG: MapConfig<Blocking<F>> = MapConfig::new(FROM..TO);

    /// Values in this flash.
    pub fn new(flash: F) -> Self {
        let map = Map::new(Blocking(flash), Self::CONFIG, Cache::new_uncached());
        Self(RefCell::new(Inner { map, buffer: [0; BUFFER] }))
    }
}

impl<F: NorFlash, const FROM: u32, const TO: u32, const BUFFER: usize> Values
    for FlashValues<F, FROM, TO, BUFFER>
{
    fn get(&self, name: &str, to: &mut [u8]) -> Result<Option<usize>, ValuesError> {
        let key = key(name)?;
        let Inner { map, buffer } = &mut *self.0.borrow_mut();
        // Nothing in it waits.
        let fetched = block_on(map.fetch_item::<&[u8]>(buffer, &key)).map_err(error);
        let copied = fetched.and_then(|value| {
            let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
            to.get_mut(..value.len()).ok_or(ValuesError::Buffer)?.copy_from_slice(value);
            Ok(Some(value.len()))
        });
        buffer.zeroize();
        copied
    }

    fn put(&self, name: &str, value: &[u8]) -> Result<(), ValuesError> {
        let key = key(name)?;
        let Inner { map, buffer } = &mut *self.0.borrow_mut();
        let stored = block_on(map.store_item(buffer, &key, &value)).map_err(error);
        buffer.zeroize();
        stored
    }

    fn wipe(&self) -> Result<(), ValuesError> {
        block_on(self.0.borrow_mut().map.erase_all()).map_err(error)
    }
}

fn key(name: &str) -> Result<Name, ValuesError> {
    check(name)?;
    Name::try_from(name).map_err(|_| ValuesError::Name)
}

fn error<E>(error: Error<E>) -> ValuesError {
    match error {
        Error::FullStorage | Error::ItemTooBig | Error::BufferTooBig | Error::BufferTooSmall(_) => {
            ValuesError::Full
        }
        Error::SerializationError(_) => ValuesError::Full,
        _ => ValuesError::Broken,
    }
}

/// A flash whose operations are over when they return, for a map that awaits them.
struct Blocking<F>(F);

impl<F: NorFlash> asynchronous::ErrorType for Blocking<F> {
    type Error = F::Error;
}

impl<F: NorFlash> asynchronous::ReadNorFlash for Blocking<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> asynchronous::NorFlash for Blocking<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.0.write(offset, bytes)
    }
}
