//! A question on the controlling terminal, whose answer is not echoed.

use std::io;
use std::sync::Arc;

use deaddrop_core::limits::PASSPHRASE_MAX;
use zeroize::Zeroizing;

use crate::platform::Terminal;
use crate::signals::{HasTerminal, Signals};

/// Asks for one line. Its line end is dropped, and the line is wiped when dropped. A longer one than a passphrase may be
/// is cut after the byte by which that shows.
///
/// The terminal echoes again when this ends, is dropped, or the process is stopped with Ctrl-Z.
///
/// # Errors
/// If the process has no terminal, or the terminal is closed. `UnexpectedEof` if the person at it types Ctrl-D.
pub(crate) async fn ask(question: &'static str, signals: &Signals) -> io::Result<Zeroizing<Vec<u8>>> {
    let terminal = Arc::new(Terminal::open(question)?);
    let hiding = Hiding::begin(&terminal, signals)?;
    terminal.ask().await?;
    // Read into memory that was set aside before, so that no copy is left behind by growing: the longest passphrase, a
    // line end, and one byte by which a longer line shows.
    let mut line = Zeroizing::new(vec![0; PASSPHRASE_MAX + 3]);
    let mut length = 0;
    loop {
        let rest = line.get_mut(length..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(line);
        }
        match terminal.read(rest).await {
            Ok(0) if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(end) = line.iter().take(length).position(|byte| *byte == b'\n') {
            length = end;
            break;
        }
    }
    hiding.answered();
    line.truncate(length);
    Ok(line)
}

impl HasTerminal for Terminal {
    fn give_back(&self) {
        Self::give_back(self);
    }

    fn take_again(&self) {
        Self::take_again(self);
    }
}

/// Echo is off until this is dropped.
struct Hiding<'a> {
    terminal: &'a Terminal,
    signals: &'a Signals,
    answered: bool,
}

impl<'a> Hiding<'a> {
    fn begin(terminal: &'a Arc<Terminal>, signals: &'a Signals) -> io::Result<Self> {
        terminal.hide()?;
        signals.set_terminal(Some(terminal.clone()));
        Ok(Self { terminal, signals, answered: false })
    }

    /// The answer was read whole: what was typed after it is for other readers of the terminal.
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Hiding<'_> {
    fn drop(&mut self) {
        self.signals.set_terminal(None);
        if self.answered {
            self.terminal.show();
        } else {
            self.terminal.give_back();
            self.terminal.end_line();
        }
    }
}
