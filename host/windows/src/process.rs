//! What holds for the whole process.

use windows_sys::Win32::System::ErrorReporting::{WER_FAULT_REPORTING_FLAG_NOHEAP, WerSetFlags};

/// Leaves the heap of this process out of the reports that Windows makes of a crash.
pub fn leave_heap_out_of_reports() {
    // SAFETY: it takes a number and no memory.
    let _ = unsafe { WerSetFlags(WER_FAULT_REPORTING_FLAG_NOHEAP) };
}
