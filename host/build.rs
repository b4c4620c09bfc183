//! Gives the main thread of the program for Windows the stack that it has on Linux. Windows gives it 1 MiB, which a
//! command's future does not fit into.

use std::env;

const BYTES: u32 = 8 << 20;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("windows") {
        let option = match env::var("CARGO_CFG_TARGET_ENV").as_deref() {
            Ok("msvc") => format!("/STACK:{BYTES}"),
            _ => format!("-Wl,--stack,{BYTES}"),
        };
        println!("cargo:rustc-link-arg-bins={option}");
    }
}
