//! The proof that core needs no allocator: builds the image of `core/noalloc`, looks for the allocator
//! in it, and for every public function of core.

mod image;
mod public;

pub(crate) use image::Image;

use crate::repo::{Failure, Repo, captured};
use crate::toolchain::{self, Target};

/// The smallest part there is to be a board, a Cortex-M3, stands for all.
const TARGET: Target = Target::Thumbv7m;

/// Features of core that are switched on in the image, and so must be in `core/noalloc/Cargo.toml`.
/// `derive` brings the allocator in, which is why boards do not have it.
const FEATURES: &[&str] = &[];

/// Public functions that no image can hold, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Builds the image and looks into it; the note says what was found.
pub(crate) fn prove(repo: &Repo) -> Result<String, Failure> {
    let home = repo.root.join("core/noalloc");
    let target = repo.cache("noalloc");
    let mut cargo = toolchain::bare_metal_cargo(repo, TARGET, ["build", "--release", "--locked"])?;
    cargo.arg("--manifest-path").arg(home.join("Cargo.toml")).arg("--target-dir").arg(&target);
    captured(&mut cargo)?;

    let path = target.join(TARGET.triple()).join("release/deaddrop-noalloc");
    let image = std::fs::read(&path).map_err(Failure::at(path.display().to_string()))?;
    let image = Image::read(&image)?;
    if let Some(symbol) = image.allocator() {
        return Err(Failure(format!("the image holds {symbol}: core, or something below it, allocates")));
    }
    let entries = public::entries(&repo.root.join("core/src"), FEATURES)?;
    let missing = absent(&entries, &image.functions(), EXCEPTIONS);
    if !missing.is_empty() {
        return Err(Failure(format!(
            "public functions of core that are not in the image; name them in core/noalloc/src/entries/:\n    {}",
            missing.join("\n    ")
        )));
    }
    Ok(format!("{} public functions, no allocator", entries.len()))
}

/// The entries for which there is no function in the image. Two entries of one name (`From` for two types,
/// say) need two functions.
fn absent(entries: &[String], functions: &[String], exceptions: &[(&str, &str)]) -> Vec<String> {
    let mut missing: Vec<String> = Vec::new();
    let mut rest = entries;
    while let Some(name) = rest.first() {
        let wanted = rest.iter().take_while(|other| *other == name).count();
        let found = functions.iter().filter(|function| *function == name).count();
        if found < wanted && !exceptions.iter().any(|(exception, _)| exception == name) {
            missing.push(if wanted == 1 { name.clone() } else { format!("{name} ({found} of {wanted})") });
        }
        rest = rest.get(wanted..).unwrap_or_default();
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_absent_is_named() {
        let entries = strings(&["Kind::code", "Token as From::from", "Token as From::from", "Token::new"]);
        let functions = strings(&["Token as From::from", "Kind::code", "Other::code"]);
        assert_eq!(absent(&entries, &functions, &[]), ["Token as From::from (1 of 2)", "Token::new"]);
        assert_eq!(absent(&entries, &functions, &[("Token::new", "why")]), ["Token as From::from (1 of 2)"]);
        assert!(absent(&entries, &entries, &[]).is_empty());
    }

    #[test]
    fn every_exception_has_a_reason() {
        assert!(EXCEPTIONS.iter().all(|(_, why)| why.len() > 20));
    }
}
