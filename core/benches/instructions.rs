//! The cases whose instructions `cargo xtask instructions` counts: `instructions CASE TURNS` runs one of them
//! TURNS times, deterministically. Two runs of different length differ only in the number of turns.
//!
//! `--cases` lists them, one per line, and `--cpu` prints the detected processor extensions, which select the
//! code that runs. Without arguments every case runs once, as under `cargo bench`.

mod scene;

use std::hint::black_box;
use std::process::ExitCode;

use deaddrop_core::wire::{Answer, Beacon, Greeting, Request};
use scene::handshake::Handshake;
use scene::messages::{answers, beacon, emitted, greeting, requests};
use scene::records::{Open, Seal};
use scene::table::Table;

/// Most turns in one run.
const TURNS_MAX: u64 = 128;

/// A case: its name, and the function that runs it a number of times.
type Case = (&'static str, fn(u64));

const CASES: [Case; 8] = [
    ("handshake-client", |turns| {
        let handshake = Handshake::new();
        repeat(turns, || drop(black_box(handshake.finish(handshake.start()))));
    }),
    ("handshake-server", |turns| {
        let handshake = Handshake::new();
        repeat(turns, || drop(black_box(handshake.answer(handshake.greet()))));
    }),
    ("seal-1k", |turns| seal(1_024, turns)),
    ("open-1k", |turns| open(1_024, turns)),
    ("seal-64k", |turns| seal(65_536, turns)),
    ("open-64k", |turns| open(65_536, turns)),
    ("codec", codec),
    ("drops", |turns| {
        let mut table = Table::new();
        repeat(turns, || {
            table.claim();
            table.holds();
            table.exchange();
            black_box((table.list(), table.deadline()));
        });
    }),
];

fn repeat(turns: u64, mut turn: impl FnMut()) {
    for _ in 0..turns {
        turn();
    }
}

fn seal(size: usize, turns: u64) {
    let mut seal = Seal::new(size);
    repeat(turns, || {
        black_box(seal.turn());
    });
}

/// Seals the maximum number of records, whatever the number of turns, so that sealing cancels out.
fn open(size: usize, turns: u64) {
    let (mut seal, mut open) = (Seal::new(size), Open::new());
    let mut arrived: Vec<_> = (0..TURNS_MAX).map(|_| seal.turn().to_vec()).collect();
    let mut arrived = arrived.iter_mut();
    repeat(turns, || {
        if let Some(record) = arrived.next() {
            open.turn(black_box(record));
        }
    });
}

/// Every message, emitted and parsed.
fn codec(turns: u64) {
    let (beacon, greeting, requests, answers) = (beacon(), greeting(), requests(), answers());
    repeat(turns, || {
        let _ = black_box(Beacon::parse(black_box(&black_box(&beacon).emit())));
        let _ = black_box(Greeting::parse(black_box(&black_box(&greeting).emit())));
        for request in black_box(&requests) {
            let (bytes, len) = black_box(emitted(|out| request.1.emit(out).unwrap_or(0)));
            let _ = black_box(Request::parse(bytes.get(..len).unwrap_or_default()));
        }
        for answer in black_box(&answers) {
            let (bytes, len) = black_box(emitted(|out| answer.1.emit(out).unwrap_or(0)));
            let _ = black_box(Answer::parse(bytes.get(..len).unwrap_or_default()));
        }
    });
}

/// The architecture, and the extensions for which the cryptography has special code.
fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    let seen = [
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("sha", is_x86_feature_detected!("sha")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let seen: [(&str, bool); 0] = [];
    let mut cpu = std::env::consts::ARCH.to_owned();
    for (name, _) in seen.iter().filter(|(_, seen)| *seen) {
        cpu.push('+');
        cpu.push_str(name);
    }
    cpu
}

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            for (_, run) in CASES {
                run(1);
            }
            println!("{} cases done once; their instructions: cargo xtask instructions", CASES.len());
        }
        ["--cases"] => CASES.iter().for_each(|(name, _)| println!("{name}")),
        ["--cpu"] => println!("{}", cpu()),
        [name, turns] => {
            let (case, turns) = (CASES.iter().find(|(known, _)| *known == name), turns.parse().ok());
            let (Some((_, run)), Some(turns)) = (case, turns) else {
                eprintln!(
                    "instructions {name} {turns:?}: no such case or no number; --cases lists the cases"
                );
                return ExitCode::FAILURE;
            };
            run(turns);
        }
        _ => {
            eprintln!("usage: instructions [CASE TURNS | --cases | --cpu]");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
