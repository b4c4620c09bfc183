//! The function symbols of an ELF image.

use object::{Object, ObjectSymbol, SymbolKind};

use crate::environment::repo::Failure;

/// Names that the compiler gives to the calls of the global allocator and to its out-of-memory handlers.
const ALLOCATOR: &[&str] =
    &["__rust_alloc", "__rust_dealloc", "__rust_realloc", "__rust_no_alloc", "__rg_", "__rdl_"];

/// The functions that an image defines.
pub(crate) struct Symbols {
    /// Mangled and demangled name of each.
    functions: Vec<(String, String)>,
}

impl Symbols {
    /// Reads an ELF image.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let file = object::File::parse(bytes).map_err(Failure::at("the image"))?;
        let functions: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
            .filter_map(|symbol| symbol.name().ok())
            .map(|name| (name.to_owned(), format!("{:#}", rustc_demangle::demangle(name))))
            .collect();
        if functions.is_empty() {
            return Err(Failure::new("the image has no symbols: was it stripped?"));
        }
        Ok(Self { functions })
    }

    /// The first symbol of the allocator or of the `alloc` crate.
    pub(crate) fn allocator(&self) -> Option<&str> {
        self.functions.iter().find(|(raw, plain)| is_allocator(raw, plain)).map(|(_, plain)| plain.as_str())
    }

    /// The demangled names of all functions.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(|(_, plain)| plain.as_str())
    }
}

fn is_allocator(raw: &str, plain: &str) -> bool {
    let of_the_compiler = |name: &str| ALLOCATOR.iter().any(|start| name.contains(start));
    of_the_compiler(raw) || of_the_compiler(plain) || is_of_crate(plain, "alloc")
}

/// Whether a path in the demangled name `plain` begins with the crate `name`.
pub(super) fn is_of_crate(plain: &str, name: &str) -> bool {
    let root = format!("{name}::");
    plain.match_indices(&root).any(|(at, _)| {
        let before = plain.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_is_known_by_its_names() {
        assert!(is_allocator("__rust_alloc", "__rust_alloc"));
        assert!(is_allocator("_RNvCs1_7___rustc12___rust_alloc", "__rustc::__rust_alloc"));
        assert!(is_allocator("x", "<alloc::vec::Vec<u8>>::push"));
        assert!(is_allocator("x", "alloc::alloc::handle_alloc_error"));
        assert!(is_allocator("x", "core::ptr::drop_in_place::<alloc::string::String>"));
        assert!(!is_allocator("x", "my_alloc::pool::get"));
        assert!(!is_allocator("x", "heapless::alloc::get"));
        assert!(!is_allocator("reset", "reset"));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(Symbols::read(b"\x7fELF, or not").is_err());
    }
}
