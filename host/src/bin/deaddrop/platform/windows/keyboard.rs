//! A console whose keys are read as they are pressed.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use deaddrop_windows::console;
use deaddrop_windows::keys::{self, Input, Wake};

use super::signals;
use super::terminal::open_console;

/// The keyboard of the console.
///
/// Ctrl-C is still asked of the process, and output is still processed.
pub(crate) struct Keyboard {
    input: Arc<File>,
    output: File,
    /// The modes of the input while keys are not read one by one. `None` while they are not.
    before: Mutex<Option<u32>>,
    /// What was typed, and found no room where it was read.
    rest: Mutex<Vec<u8>>,
}

impl Keyboard {
    /// # Errors
    /// If this process has no console.
    pub(crate) fn open() -> io::Result<Self> {
        let (input, output) = open_console()?;
        Ok(Self { input: input.into(), output, before: Mutex::default(), rest: Mutex::default() })
    }

    /// Has each key read as it is pressed.
    ///
    /// # Errors
    /// If the console is gone.
    pub(crate) fn take(&self) -> io::Result<()> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let now = console::modes(&*self.input)?;
        console::set_modes(&*self.input, keys::key_by_key(now))?;
        before.get_or_insert(now);
        Ok(())
    }

    /// Gives the console back as it was. What has been typed and not read is for the next program.
    pub(crate) fn give_back(&self) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = before.take() {
            // Fails only on a console that is gone.
            let _ = console::set_modes(&*self.input, before);
        }
    }

    /// Reads what has been typed, as a terminal sends it. A window of another size is passed on as a request.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            {
                let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
                if !rest.is_empty() {
                    let length = rest.len().min(buffer.len());
                    for (to, byte) in buffer.iter_mut().zip(rest.drain(..length)) {
                        *to = byte;
                    }
                    return Ok(length);
                }
            }
            // A thread waits, and reads nothing: what is typed after this future was dropped is not lost.
            let wake = Arc::new(Wake::new()?);
            let _ending = Ending(wake.clone());
            let input = self.input.clone();
            smol::unblock(move || keys::wait(&*input, &wake)).await?;
            for input in keys::read(&*self.input)? {
                match input {
                    Input::Resized => signals::resized(),
                    Input::Key { character, key, times } => {
                        let sent = sent(character, key);
                        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
                        (0..times).for_each(|_| rest.extend_from_slice(&sent));
                    }
                }
            }
        }
    }

    /// Writes to the console. It takes nothing while a person selects text in it, and then this waits.
    pub(crate) fn write_now(&self, bytes: &[u8]) {
        let _ = (&self.output).write(bytes);
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Ends the thread that waits for keys.
struct Ending(Arc<Wake>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// What a terminal sends for a key. Nothing of characters other than those of ASCII, since none of them is a key here.
fn sent(character: u16, key: u16) -> Vec<u8> {
    let sequence: &[u8] = match (character, key) {
        (1.., _) => return u8::try_from(character).ok().filter(u8::is_ascii).into_iter().collect(),
        // VK_PRIOR and those after it: page up, page down, end, home, left, up, right, down.
        (0, 0x21) => b"\x1b[5~",
        (0, 0x22) => b"\x1b[6~",
        (0, 0x23) => b"\x1b[F",
        (0, 0x24) => b"\x1b[H",
        (0, 0x26) => b"\x1b[A",
        (0, 0x28) => b"\x1b[B",
        _ => b"",
    };
    sequence.to_vec()
}
