//! Hands the memory map to the linker and to the program.

fn main() -> std::io::Result<()> {
    deaddrop_memory_map::link(&["link.x", "link-rp.x"])
}
