//! The symbols of an image.

use object::{Object, ObjectSymbol, SymbolKind};

use crate::repo::Failure;

/// What the compiler calls the allocator, whichever it is, and what it calls when there is no memory.
const ALLOCATOR: &[&str] =
    &["__rust_alloc", "__rust_dealloc", "__rust_realloc", "__rust_no_alloc", "__rg_", "__rdl_"];

/// The functions of an image, their names spelt out.
pub(crate) struct Image {
    /// Name, mangled and not; one for each address.
    symbols: Vec<(String, String)>,
}

impl Image {
    /// Reads an ELF image.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let file = object::File::parse(bytes).map_err(Failure::at("the image"))?;
        let symbols: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
            .filter_map(|symbol| symbol.name().ok())
            .map(|name| (name.to_owned(), format!("{:#}", rustc_demangle::demangle(name))))
            .collect();
        if symbols.is_empty() {
            return Err(Failure::new("the image has no symbols: was it stripped?"));
        }
        Ok(Self { symbols })
    }

    /// A symbol of the allocator, or of the `alloc` crate, if there is one.
    pub(crate) fn allocator(&self) -> Option<&str> {
        self.symbols.iter().find(|(raw, plain)| is_allocator(raw, plain)).map(|(_, plain)| plain.as_str())
    }

    /// The names of all functions, spelt out.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.symbols.iter().map(|(_, plain)| plain.as_str())
    }

    /// The functions of core, in the form in which [`super::public`] names its entries.
    pub(crate) fn functions(&self) -> Vec<String> {
        self.symbols.iter().filter_map(|(_, plain)| entry(plain)).collect()
    }
}

fn is_allocator(raw: &str, plain: &str) -> bool {
    let of_the_compiler = |name: &str| ALLOCATOR.iter().any(|start| name.contains(start));
    of_the_compiler(raw) || of_the_compiler(plain) || names_crate(plain, "alloc")
}

/// Whether a path in `plain` begins with this crate.
fn names_crate(plain: &str, name: &str) -> bool {
    let root = format!("{name}::");
    plain.match_indices(&root).any(|(at, _)| {
        let before = plain.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// `<deaddrop_core::secret::Secret<32usize> as core::fmt::Debug>::fmt` as `Secret as Debug::fmt`, and so
/// on: generic arguments and modules left out. None if it is not a function of core.
fn entry(plain: &str) -> Option<String> {
    if !names_crate(plain, "deaddrop_core") {
        return None;
    }
    let plain = without_arguments(plain);
    let Some(rest) = plain.strip_prefix('<') else {
        // A free function: `deaddrop_core::module::function`.
        return plain.starts_with("deaddrop_core::").then(|| last(&plain).to_owned());
    };
    let (owner, method) = rest.rsplit_once(">::")?;
    let name = match owner.split_once(" as ") {
        None => format!("{}::{method}", last(owner)),
        Some((owner, of)) => format!("{} as {}::{method}", last(owner), last(of)),
    };
    Some(name)
}

/// Takes out whatever stands between `<` and `>`, except at the very start.
fn without_arguments(plain: &str) -> String {
    let (first, rest) = if plain.starts_with('<') { plain.split_at(1) } else { ("", plain) };
    let mut out = first.to_owned();
    let mut depth = 0_usize;
    // The bracket at the start is closed at depth 0, and kept.
    let mut before = ' ';
    for c in rest.chars() {
        match c {
            '<' => depth += 1,
            // Not the arrow of a function type.
            '>' if depth > 0 && before != '-' => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
        before = c;
    }
    // `function::<T>` leaves its separator behind.
    out.trim_end_matches("::").replace("::>", ">").replace(":: as", " as")
}

/// The last name of a path.
fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path).trim_start_matches(['&', '*'])
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
    fn names_are_put_as_the_sources_put_them() {
        for (plain, expected) in [
            (
                "<deaddrop_core::token::Token>::random::<deaddrop_noalloc::entries::Rng>",
                Some("Token::random"),
            ),
            ("<deaddrop_core::secret::Secret<32usize>>::new", Some("Secret::new")),
            (
                "<deaddrop_core::secret::Secret<32usize> as core::fmt::Debug>::fmt",
                Some("Secret as Debug::fmt"),
            ),
            (
                "<deaddrop_core::token::TokenPrefix as core::convert::From<deaddrop_core::token::Token>>::from",
                Some("TokenPrefix as From::from"),
            ),
            ("deaddrop_core::wire::parse::<fn(u8) -> u8>", Some("parse")),
            ("deaddrop_core::wire::parse", Some("parse")),
            ("core::ptr::drop_in_place::<deaddrop_core::token::Token>", None),
            ("<u8 as core::fmt::Display>::fmt", None),
            ("reset", None),
        ] {
            assert_eq!(entry(plain).as_deref(), expected, "{plain}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(Image::read(b"\x7fELF, or not").is_err());
    }
}
