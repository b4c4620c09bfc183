//! What the system has to give a command: descriptors, memory, threads. A lack of them is said at the start, in one line.
//! Later it would come up inside libraries that panic then, or wait for ever.

use std::fs::File;
use std::io;
use std::thread::Builder;

use memmap2::MmapMut;

use crate::exit::Failure;
use crate::platform;

/// Descriptors that a sender may need: members' connections are not counted, and each takes one.
const WANTED: u64 = 8_192;
/// Descriptors that a command takes before it has any socket: for the reactor, and one for each signal.
const AT_START: usize = 24;
/// Descriptors that have to be free once all sockets are open: for connections, and for the file that is sent or received.
const FOR_CONNECTIONS: usize = 8;
/// Memory that a command takes: 32 MiB to derive the room's secret, the stacks of its threads, and buffers.
const MEMORY: usize = 56 << 20;
/// Threads beside the main one: the reactor's, one that derives the room's secret, one for each stream that is written to.
const THREADS: usize = 4;

/// Checks that there is enough for a command to start.
///
/// # Errors
/// What there is not enough of, and what to do.
pub(crate) fn check() -> Result<(), Failure> {
    // As far as the system lets us, and no further than makes sense. Members can open connections without number; the
    // more there is room for, the longer others still get through.
    platform::raise_file_limit(WANTED);
    descriptors(AT_START + FOR_CONNECTIONS)?;
    memory()?;
    threads()
}

/// Checks that there are descriptors for connections, once all sockets are open.
///
/// # Errors
/// If there are not.
pub(crate) fn check_connections() -> Result<(), Failure> {
    descriptors(FOR_CONNECTIONS)
}

/// Opens this many, and closes them again.
fn descriptors(count: usize) -> Result<(), Failure> {
    let opened: io::Result<Vec<File>> = (0..count).map(|_| platform::open_placeholder()).collect();
    opened.map(drop).map_err(|error| {
        let limit = platform::file_limit().map_or("none".into(), |limit| limit.to_string());
        Failure::failed(format!(
            "not enough files can be open at once ({error}; the limit of this process is {limit}): {}",
            platform::MORE_FILES
        ))
    })
}

/// Maps the memory, untouched, and gives it back. Not by the allocator, which would wipe it all, in 45 ms.
fn memory() -> Result<(), Failure> {
    MmapMut::map_anon(MEMORY).map(drop).map_err(|_| {
        Failure::failed(format!(
            "not enough memory: the room's secret is derived in 32 MiB, and {} MiB are needed in all: {}",
            MEMORY >> 20,
            platform::MORE_MEMORY
        ))
    })
}

/// Starts all threads at once, and ends them again.
fn threads() -> Result<(), Failure> {
    let (end, ended) = async_channel::bounded::<()>(1);
    let mut started = Vec::new();
    let mut failed = Ok(());
    for _ in 0..THREADS {
        let ended = ended.clone();
        let body = move || {
            // Fails when the channel is closed, which is what it waits for.
            let _ = ended.recv_blocking();
        };
        match Builder::new().spawn(body) {
            Ok(thread) => started.push(thread),
            Err(error) => {
                failed = Err(Failure::failed(format!(
                    "not enough threads can be started ({error}): {}",
                    platform::MORE_THREADS
                )));
                break;
            }
        }
    }
    drop(end);
    for thread in started {
        // It cannot have panicked.
        let _ = thread.join();
    }
    failed
}
