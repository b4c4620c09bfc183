//! What is public in core, read from its sources.
//!
//! An entry is a public function, a public method, or a method of a trait that a public type of core
//! implements by hand. What `derive` writes is not among them: it only calls the same for each field.
//! Everything marked `pub` counts, whatever module it stands in, since the lint `unreachable_pub` sees to it
//! that such an item can be reached.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, ImplItem, Item, ItemImpl, Meta, Token, TraitItem, Type, Visibility};

use crate::repo::Failure;

/// The entries below `src`, sorted: `function`, `Type::method` or `Type as Trait::method`.
pub(crate) fn entries(src: &Path, features: &[&str]) -> Result<Vec<String>, Failure> {
    let mut found = Found::default();
    let reader = Reader { features };
    reader.file(&src.join("lib.rs"), src, &mut found)?;
    Ok(found.entries())
}

/// What was met on the way through the sources.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    /// The types that nobody outside can name, and those that somebody can.
    private: BTreeSet<String>,
    public: BTreeSet<String>,
}

struct Entry {
    name: String,
    /// The type whose trait it implements.
    owner: Option<String>,
}

impl Found {
    fn add(&mut self, name: String) {
        self.entries.push(Entry { name, owner: None });
    }

    fn declare(&mut self, name: &Ident, visibility: &Visibility) {
        let of = if is_public(visibility) { &mut self.public } else { &mut self.private };
        of.insert(name.to_string());
    }

    /// The names, sorted. What a private type does for a trait is no entry: it is in the image with whatever
    /// public function uses it. Where two types share a name, and one is public, both count.
    fn entries(self) -> Vec<String> {
        let Self { entries, private, public } = self;
        let is_hidden = |owner: &String| private.contains(owner) && !public.contains(owner);
        let mut names: Vec<_> = entries
            .into_iter()
            .filter(|entry| !entry.owner.as_ref().is_some_and(is_hidden))
            .map(|entry| entry.name)
            .collect();
        names.sort();
        names
    }
}

struct Reader<'a> {
    features: &'a [&'a str],
}

impl Reader<'_> {
    /// Reads a file whose child modules stand in `folder`.
    fn file(&self, path: &Path, folder: &Path, found: &mut Found) -> Result<(), Failure> {
        let shown = || path.display().to_string();
        let text = fs::read_to_string(path).map_err(Failure::at(shown()))?;
        let file = syn::parse_file(&text).map_err(Failure::at(shown()))?;
        if self.is_on(&file.attrs) { self.items(&file.items, folder, found) } else { Ok(()) }
    }

    fn items(&self, items: &[Item], folder: &Path, found: &mut Found) -> Result<(), Failure> {
        for item in items {
            match item {
                Item::Fn(function) if is_public(&function.vis) && self.is_on(&function.attrs) => {
                    found.add(function.sig.ident.to_string());
                }
                Item::Impl(block) if self.is_on(&block.attrs) => self.block(block, found)?,
                Item::Struct(item) if self.is_on(&item.attrs) => found.declare(&item.ident, &item.vis),
                Item::Enum(item) if self.is_on(&item.attrs) => found.declare(&item.ident, &item.vis),
                Item::Union(item) if self.is_on(&item.attrs) => found.declare(&item.ident, &item.vis),
                Item::Type(item) if self.is_on(&item.attrs) => found.declare(&item.ident, &item.vis),
                // A definition has a name; a use, which may write functions that are not seen here, has none.
                Item::Macro(item) if item.ident.is_none() && self.is_on(&item.attrs) => {
                    let name = item.mac.path.segments.last().map(|segment| segment.ident.to_string());
                    return Err(Failure(format!(
                        "{}: the proof cannot see what {}! writes: write it out",
                        folder.display(),
                        name.unwrap_or_default()
                    )));
                }
                Item::Trait(of) if is_public(&of.vis) && self.is_on(&of.attrs) => {
                    for item in &of.items {
                        if let TraitItem::Fn(method) = item
                            && method.default.is_some()
                            && self.is_on(&method.attrs)
                        {
                            found.add(format!("{0} as {0}::{1}", of.ident, method.sig.ident));
                        }
                    }
                }
                Item::Mod(module) if self.is_on(&module.attrs) => {
                    let name = module.ident.to_string();
                    let below = folder.join(&name);
                    match &module.content {
                        Some((_, items)) => self.items(items, &below, found)?,
                        None => {
                            let beside = folder.join(format!("{name}.rs"));
                            let path = if beside.is_file() { beside } else { below.join("mod.rs") };
                            self.file(&path, &below, found)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn block(&self, block: &ItemImpl, found: &mut Found) -> Result<(), Failure> {
        let owner = match &*block.self_ty {
            Type::Path(owner) => owner.path.segments.last(),
            Type::Reference(of) => match &*of.elem {
                Type::Path(owner) => owner.path.segments.last(),
                _ => None,
            },
            _ => None,
        };
        let owner = owner.map(|segment| segment.ident.to_string()).ok_or_else(|| {
            Failure::new(
                "core implements something for a type without a name: teach xtask/src/noalloc to name it",
            )
        })?;
        let of = block.trait_.as_ref().and_then(|(path, ..)| path.segments.last());
        // A destructor cannot be named; it is in the image with whatever owns a value.
        if of.is_some_and(|of| of.ident == "Drop") {
            return Ok(());
        }
        for item in &block.items {
            let ImplItem::Fn(method) = item else { continue };
            if !self.is_on(&method.attrs) {
                continue;
            }
            let name = &method.sig.ident;
            match of {
                Some(of) => {
                    let name = format!("{owner} as {}::{name}", of.ident);
                    found.entries.push(Entry { name, owner: Some(owner.clone()) });
                }
                None if is_public(&method.vis) => found.add(format!("{owner}::{name}")),
                None => {}
            }
        }
        Ok(())
    }

    /// Whether an item with these attributes is in the image.
    fn is_on(&self, attributes: &[Attribute]) -> bool {
        attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .all(|attribute| attribute.parse_args::<Meta>().is_ok_and(|cfg| self.holds(&cfg)))
    }

    /// Whether a condition holds in the image.
    fn holds(&self, cfg: &Meta) -> bool {
        match cfg {
            Meta::List(list) => {
                let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
                let Ok(parts) = parts else { return true };
                let mut parts = parts.iter().map(|part| self.holds(part));
                if list.path.is_ident("not") {
                    !parts.any(|part| part)
                } else if list.path.is_ident("any") {
                    parts.any(|part| part)
                } else {
                    parts.all(|part| part)
                }
            }
            Meta::NameValue(pair) if pair.path.is_ident("feature") => match &pair.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) => {
                    self.features.contains(&name.value().as_str())
                }
                _ => false,
            },
            // `test`, and the likes of `unix` and `fuzzing`: none of them on a board.
            _ => false,
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_read(source: &str, features: &[&str]) -> Result<Vec<String>, Failure> {
        let file = syn::parse_file(source).unwrap();
        let mut found = Found::default();
        Reader { features }.items(&file.items, Path::new("."), &mut found)?;
        Ok(found.entries())
    }

    fn read(source: &str, features: &[&str]) -> Vec<String> {
        try_read(source, features).unwrap()
    }

    #[test]
    fn what_cannot_be_seen_is_an_error() {
        assert!(try_read("numbers! { pub fn a() {} }", &[]).unwrap_err().0.contains("numbers!"));
        assert!(try_read("impl T for [u8] { fn a() {} }", &[]).is_err());
        assert_eq!(read("impl T for &S { fn a() {} }", &[]), ["S as T::a"]);
        assert!(read("macro_rules! m { () => {} } #[cfg(test)] numbers! {}", &[]).is_empty());
    }

    #[test]
    fn what_is_public_is_an_entry_and_nothing_else() {
        let source = "
            pub fn a() {}
            pub(crate) fn b() {}
            fn c() {}
            impl<const N: usize> S<N> { pub const fn d() {} fn e() {} pub(super) fn f() {} pub const G: u8 = 0; }
            impl fmt::Display for S<4> { fn fmt() {} }
            impl Drop for S<4> { fn drop() {} }
            pub trait T { fn h(); fn i() {} }
            trait U { fn j() {} }
            mod m { pub fn k<R: Rng>(r: &mut R) {} }
        ";
        assert_eq!(read(source, &[]), ["S as Display::fmt", "S::d", "T as T::i", "a", "k"]);
    }

    #[test]
    fn what_a_private_type_does_for_a_trait_is_no_entry() {
        let source = "
            enum A {} impl From<u8> for A { fn from() {} }
            pub(crate) struct B; impl From<u8> for B { fn from() {} }
            pub struct C; impl From<u8> for C { fn from() {} }
            mod m { struct C; }
            impl From<C> for u8 { fn from() {} }
        ";
        assert_eq!(read(source, &[]), ["C as From::from", "u8 as From::from"]);
    }

    #[test]
    fn conditions_are_heeded() {
        let source = r#"
            #[cfg(test)] mod tests { pub fn a() {} }
            #[cfg(feature = "derive")] pub mod derive { pub fn b() {} }
            #[cfg(not(feature = "derive"))] pub fn c() {}
            #[cfg(any(test, feature = "derive"))] pub fn d() {}
            #[cfg(all(not(test), not(unix)))] pub fn e() {}
            impl S { #[cfg(test)] pub fn f() {} }
        "#;
        assert_eq!(read(source, &[]), ["c", "e"]);
        assert_eq!(read(source, &["derive"]), ["b", "d", "e"]);
    }

    #[test]
    fn core_is_read_through_all_its_modules() {
        let core = crate::repo::Repo::here().root.join("core/src");
        let entries = entries(&core, &[]).unwrap();
        for name in ["Token::random", "Secret::expose", "Instant as Add::add"] {
            assert!(entries.iter().any(|entry| entry == name), "{name}");
        }
        assert!(entries.is_sorted());
    }

    #[test]
    fn a_module_that_is_not_there_is_an_error() {
        assert!(entries(Path::new("/nonexistent"), &[]).is_err());
    }
}
