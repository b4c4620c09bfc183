//! Puts `device.x` where cortex-m-rt's linker script finds it.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let out = PathBuf::from(out);
    std::fs::write(out.join("device.x"), include_str!("device.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=device.x");
    Ok(())
}
