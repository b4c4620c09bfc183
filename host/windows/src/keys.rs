//! What is typed in a console, key by key.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null;

use windows_sys::Win32::Foundation::{WAIT_FAILED, WAIT_OBJECT_0};
use windows_sys::Win32::System::Console::{
    ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_MOUSE_INPUT, ENABLE_PROCESSED_INPUT,
    ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_WINDOW_INPUT, GetNumberOfConsoleInputEvents, INPUT_RECORD,
    KEY_EVENT, ReadConsoleInputW, WINDOW_BUFFER_SIZE_EVENT,
};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects};

use crate::succeeded;

/// How much is read at once.
const AT_ONCE: u32 = 32;

/// What a console's input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed, so many times.
    Key {
        /// What it types, in UTF-16; 0 of a key that types nothing, such as an arrow.
        character: u16,
        /// Which key it is, as the system numbers them (`VK_UP` and others).
        key: u16,
        /// Once, or more often while it is held.
        times: u16,
    },
    /// The window has another size.
    Resized,
}

/// The modes of an input by which each key is read as it is pressed, and not shown. Ctrl-C is still asked of the process.
/// Keys come as what they are, also where an earlier program has asked for the sequences of a terminal.
pub fn key_by_key(modes: u32) -> u32 {
    (modes | ENABLE_PROCESSED_INPUT | ENABLE_WINDOW_INPUT)
        & !(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT | ENABLE_MOUSE_INPUT | ENABLE_VIRTUAL_TERMINAL_INPUT)
}

/// Ends a wait of another thread.
#[derive(Debug)]
pub struct Wake(OwnedHandle);

impl Wake {
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        // SAFETY: neither pointer is needed. It stays set once it is.
        let event = unsafe { CreateEventW(null(), 1, 0, null()) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has made it, and nothing else has it.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(event) }))
    }

    /// Ends the wait, also one that has not begun.
    pub fn wake(&self) {
        // Fails of no event that is there.
        // SAFETY: the handle is open as long as this is there.
        let _ = unsafe { SetEvent(self.0.as_raw_handle()) };
    }
}

/// Waits until a console's input holds something, or is woken. Reads nothing of it.
///
/// # Errors
/// What the system says.
pub fn wait(console: impl AsHandle, wake: &Wake) -> io::Result<()> {
    let handles = [console.as_handle().as_raw_handle(), wake.0.as_raw_handle()];
    // SAFETY: both handles are open for as long as they are borrowed.
    match unsafe { WaitForMultipleObjects(2, handles.as_ptr(), 0, INFINITE) } {
        WAIT_FAILED => Err(io::Error::last_os_error()),
        ended if ended <= WAIT_OBJECT_0 + 1 => Ok(()),
        _ => Err(io::ErrorKind::Other.into()),
    }
}

/// Reads what a console's input holds, without waiting for more. What means nothing is left out, such as a key that is let
/// go.
///
/// # Errors
/// If it is no console.
pub fn read(console: impl AsHandle) -> io::Result<Vec<Input>> {
    let console = console.as_handle();
    let mut held = 0;
    // SAFETY: the handle is open for as long as it is borrowed, and the number is ours to write to.
    succeeded(unsafe { GetNumberOfConsoleInputEvents(console.as_raw_handle(), &raw mut held) })?;
    let mut records = vec![INPUT_RECORD::default(); held.min(AT_ONCE) as usize];
    if records.is_empty() {
        // The call below would wait.
        return Ok(Vec::new());
    }
    let mut read = 0;
    // SAFETY: as above, and there is room for as many records as is stated.
    succeeded(unsafe {
        ReadConsoleInputW(console.as_raw_handle(), records.as_mut_ptr(), held.min(AT_ONCE), &raw mut read)
    })?;
    Ok(records.iter().take(read as usize).filter_map(input).collect())
}

fn input(record: &INPUT_RECORD) -> Option<Input> {
    match u32::from(record.EventType) {
        KEY_EVENT => {
            // SAFETY: the type says that it is one of a key, every bit pattern of which is valid.
            let (key, character) = unsafe {
                let event = record.Event.KeyEvent;
                (event, event.uChar.UnicodeChar)
            };
            let (times, key, pressed) = (key.wRepeatCount, key.wVirtualKeyCode, key.bKeyDown != 0);
            pressed.then_some(Input::Key { character, key, times })
        }
        WINDOW_BUFFER_SIZE_EVENT => Some(Input::Resized),
        _ => None,
    }
}
