//! Hands the memory map to the linker.

fn main() -> std::io::Result<()> {
    deaddrop_memory_map::link(&["link.x"])
}
