//! The console: its modes, its size, what is typed there, and what it asks of the process.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::ptr::null;
use std::sync::OnceLock;
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, CTRL_BREAK_EVENT, CTRL_C_EVENT, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT,
    ENABLE_PROCESSED_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, FlushConsoleInputBuffer, GetConsoleMode,
    GetConsoleOutputCP, GetConsoleScreenBufferInfo, ReadConsoleW, SetConsoleCtrlHandler, SetConsoleMode,
    SetConsoleOutputCP,
};

use crate::succeeded;

/// The number of UTF-8 among the code pages.
const UTF_8: u32 = 65_001;

/// What the console asks of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Ctrl-C was typed.
    Interrupt,
    /// Ctrl-Break was typed.
    Break,
    /// The window is being closed, the user logs off or the machine is shut down. The system ends the process some seconds
    /// later.
    Close,
}

type Handler = Box<dyn Fn(Request) + Send + Sync>;

static HANDLER: OnceLock<Handler> = OnceLock::new();

/// The modes of the output before it was told to understand sequences.
static MODES_BEFORE: OnceLock<u32> = OnceLock::new();
/// The code page of the output before it was told to take UTF-8.
static CODE_PAGE_BEFORE: OnceLock<u32> = OnceLock::new();

/// Has this called, on another thread, whenever the console asks something of the process. Only the first handler of a
/// process is called.
///
/// # Errors
/// What the system says.
pub fn on_request(handler: impl Fn(Request) + Send + Sync + 'static) -> io::Result<()> {
    if HANDLER.set(Box::new(handler)).is_err() {
        return Ok(());
    }
    // SAFETY: the function lives as long as the process.
    succeeded(unsafe { SetConsoleCtrlHandler(Some(call), 1) })
}

unsafe extern "system" fn call(event: u32) -> i32 {
    let request = match event {
        CTRL_C_EVENT => Request::Interrupt,
        CTRL_BREAK_EVENT => Request::Break,
        _ => Request::Close,
    };
    if let Some(handler) = HANDLER.get() {
        handler(request);
    }
    if request == Request::Close {
        // Once this returns the system ends the process, which first is to end by itself.
        std::thread::sleep(Duration::from_secs(60));
    }
    1
}

/// The modes of a console's input or output.
///
/// # Errors
/// If it is no console.
pub fn modes(console: impl AsHandle) -> io::Result<u32> {
    let mut modes = 0;
    // SAFETY: the handle is open for as long as it is borrowed, and the number is ours to write to.
    succeeded(unsafe { GetConsoleMode(console.as_handle().as_raw_handle(), &raw mut modes) })?;
    Ok(modes)
}

/// Sets them.
///
/// # Errors
/// If it is no console.
pub fn set_modes(console: impl AsHandle, modes: u32) -> io::Result<()> {
    // SAFETY: the handle is open for as long as it is borrowed.
    succeeded(unsafe { SetConsoleMode(console.as_handle().as_raw_handle(), modes) })
}

/// The modes of an input by which a line is read that is not shown.
pub fn hidden(modes: u32) -> u32 {
    (modes | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT) & !ENABLE_ECHO_INPUT
}

/// Has the output understand what moves its cursor. Whether it does.
pub fn understand_sequences(console: impl AsHandle) -> bool {
    modes(&console).is_ok_and(|modes| {
        MODES_BEFORE.get_or_init(|| modes);
        set_modes(&console, modes | ENABLE_VIRTUAL_TERMINAL_PROCESSING).is_ok()
    })
}

/// Forgets what was typed and not read.
///
/// # Errors
/// If it is no console.
pub fn forget_typed(console: impl AsHandle) -> io::Result<()> {
    // SAFETY: the handle is open for as long as it is borrowed.
    succeeded(unsafe { FlushConsoleInputBuffer(console.as_handle().as_raw_handle()) })
}

/// Columns and rows of an output's window.
///
/// # Errors
/// If it is no console.
pub fn size(console: impl AsHandle) -> io::Result<(u16, u16)> {
    let mut screen = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the handle is open for as long as it is borrowed, and the structure is ours to write to.
    succeeded(unsafe { GetConsoleScreenBufferInfo(console.as_handle().as_raw_handle(), &raw mut screen) })?;
    let window = screen.srWindow;
    let span = |from: i16, to: i16| u16::try_from(i32::from(to) - i32::from(from) + 1).unwrap_or(0);
    Ok((span(window.Left, window.Right), span(window.Top, window.Bottom)))
}

/// Reads UTF-16 from a console's input: a line, or as much of it as there is room for. Waits until one was typed. Gives
/// how many characters; none if Ctrl-C was typed.
///
/// # Errors
/// If it is no console.
pub fn read(console: impl AsHandle, buffer: &mut [u16]) -> io::Result<usize> {
    let room = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    let mut read = 0;
    // SAFETY: the handle is open for as long as it is borrowed, and the buffer has room for so many characters.
    succeeded(unsafe {
        ReadConsoleW(
            console.as_handle().as_raw_handle(),
            buffer.as_mut_ptr().cast(),
            room,
            &raw mut read,
            null(),
        )
    })?;
    Ok(read as usize)
}

/// Has bytes that are written to the console taken for UTF-8, whatever its code page was.
pub fn write_utf_8() {
    // SAFETY: it takes nothing and gives a number, 0 where there is no console.
    CODE_PAGE_BEFORE.get_or_init(|| unsafe { GetConsoleOutputCP() });
    // Fails where there is no console.
    // SAFETY: it takes a number and no memory.
    let _ = unsafe { SetConsoleOutputCP(UTF_8) };
}

/// Undoes what [`understand_sequences`] did to this output, and [`write_utf_8`]: both outlive the process.
pub fn give_back_output(console: impl AsHandle) {
    if let Some(modes) = MODES_BEFORE.get() {
        // Fails only on a console that is gone.
        let _ = set_modes(console, *modes);
    }
    if let Some(page @ 1..) = CODE_PAGE_BEFORE.get() {
        // Fails only on a console that is gone.
        // SAFETY: it takes a number and no memory.
        let _ = unsafe { SetConsoleOutputCP(*page) };
    }
}
