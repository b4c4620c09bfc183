//! `dist`: what a release consists of, made from a commit. Two runs of one commit give the same bytes.

mod archive;
mod build;
mod checksums;
mod clean_root;
mod compare;
mod emulated;
mod export;
mod package;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};

use argh::FromArgs;

use crate::demo;
use crate::dist::build::Release;
use crate::dist::export::Export;
use crate::environment::architecture::{ARCHITECTURES, Architecture};
use crate::environment::prerequisites::{self, Prerequisite};
use crate::environment::repo::{Failure, Repo};
use crate::manual;
use crate::stages::stage::Size;

/// Make a release of the last commit: for each processor a static program in an archive and in a package for Debian,
/// with man pages and completions; the list of what the program is made of; and checksums of it all.
#[derive(FromArgs)]
#[argh(subcommand, name = "dist")]
pub(crate) struct Dist {
    /// new folder to write into (target/dist)
    #[argh(option, arg_name = "path")]
    out: Option<PathBuf>,
    /// for this processor alone; may be given several times (all: x86_64, aarch64, armv7)
    #[argh(option, arg_name = "name")]
    architecture: Vec<Architecture>,
    /// make it twice, in different folders, and fail unless both have the same bytes; then hand over a message and a
    /// file with each program, and run the tests of exchanges with those of other processors
    #[argh(switch)]
    check: bool,
    /// make nothing; try the release that is there, as root: its package in a clean Debian 12, its archive on a root
    /// without libraries
    #[argh(switch)]
    verify: bool,
    /// fetch what is missing: packages with apt when root, targets with rustup, tools with cargo
    #[argh(switch)]
    install: bool,
}

/// Makes the release and says where it is.
pub(crate) fn run(repo: &Repo, dist: &Dist) -> Result<(), Failure> {
    let architectures = match dist.architecture.as_slice() {
        [] => ARCHITECTURES.to_vec(),
        some => some.to_vec(),
    };
    if dist.verify {
        prerequisites::demand(repo, VERIFY, dist.install)?;
        let out = dist.out.clone().unwrap_or_else(|| repo.cache("dist"));
        println!("{}", clean_root::check(repo, &out)?);
        return Ok(());
    }
    prerequisites::demand(repo, &needs(&architectures, dist.check), dist.install)?;
    let out = match &dist.out {
        Some(out) => std::path::absolute(out).map_err(Failure::at(out.display()))?,
        None => emptied(repo)?,
    };
    if dist.check {
        check(repo, &architectures, &out)?;
    } else {
        make(repo, &architectures, &repo.cache("dist-build"), &out)?;
        remove(&repo.cache("dist-build"))?;
    }
    println!(
        "{}",
        fs::read_to_string(out.join(checksums::NAME)).map_err(Failure::at(checksums::NAME))?.trim_end()
    );
    println!("in {}", out.display());
    Ok(())
}

/// The prerequisites of `--verify`.
const VERIFY: &[Prerequisite] = &[Prerequisite::CleanRoot, Prerequisite::Ip];

/// The prerequisites of the stage.
pub(crate) const STAGE: &[Prerequisite] = &[
    Prerequisite::StaticTarget(Architecture::X86_64),
    Prerequisite::StaticTarget(Architecture::Aarch64),
    Prerequisite::StaticTarget(Architecture::Armv7),
    Prerequisite::CCompiler(Architecture::X86_64),
    Prerequisite::CCompiler(Architecture::Aarch64),
    Prerequisite::CCompiler(Architecture::Armv7),
    Prerequisite::ProcessEmulator(Architecture::X86_64),
    Prerequisite::ProcessEmulator(Architecture::Aarch64),
    Prerequisite::ProcessEmulator(Architecture::Armv7),
    Prerequisite::CargoAuditable,
    Prerequisite::CargoCyclonedx,
    Prerequisite::CargoDeb,
    Prerequisite::Namespaces,
    Prerequisite::Nft,
    Prerequisite::CleanRoot,
    Prerequisite::Ip,
];

/// The stage `dist`: the same as `dist --check` and then `dist --verify`.
pub(crate) fn stage(repo: &Repo, _: Size) -> Result<String, Failure> {
    let out = emptied(repo)?;
    let made = check(repo, &ARCHITECTURES, &out)?;
    Ok(format!("{made}; {}", clean_root::check(repo, &out)?))
}

/// The usual folder, without what an earlier release left there.
fn emptied(repo: &Repo) -> Result<PathBuf, Failure> {
    let out = repo.cache("dist");
    remove(&out)?;
    Ok(out)
}

/// What [`make`] needs, and [`check`] beside it.
fn needs(architectures: &[Architecture], check: bool) -> Vec<Prerequisite> {
    let mut needs = vec![Prerequisite::CargoAuditable, Prerequisite::CargoCyclonedx, Prerequisite::CargoDeb];
    for architecture in architectures.iter().copied() {
        needs.extend([Prerequisite::StaticTarget(architecture), Prerequisite::CCompiler(architecture)]);
        if check {
            needs.push(Prerequisite::ProcessEmulator(architecture));
        }
    }
    if check {
        needs.extend([Prerequisite::Namespaces, Prerequisite::Nft, Prerequisite::Ip]);
    }
    needs
}

/// Makes the release twice, in folders whose paths differ in length, compares the bytes, and runs the programs.
fn check(repo: &Repo, architectures: &[Architecture], out: &Path) -> Result<String, Failure> {
    let again = repo.cache("dist-check");
    remove(&again)?;
    let builds = [repo.cache("dist-build"), again.join("in a folder/with another path")];
    let programs = make(repo, architectures, &builds[0], out)?;
    make(repo, architectures, &builds[1], &again.join("out"))?;
    let files = compare::same(out, &again.join("out"))?;
    for (architecture, program) in &programs {
        let program = build::runnable(*architecture, program, &again)?;
        demo::hand_over(&program)?;
        if !architecture.is_ours() {
            emulated::test(repo, &program)?;
        }
    }
    remove(&again)?;
    remove(&builds[0])?;
    Ok(format!("{files} files, twice the same; {} programs run", programs.len()))
}

/// Makes the release in `out`, with all intermediate files in `place`. Gives the programs.
fn make(
    repo: &Repo,
    architectures: &[Architecture],
    place: &Path,
    out: &Path,
) -> Result<Vec<(Architecture, PathBuf)>, Failure> {
    remove(place)?;
    fs::create_dir_all(out).map_err(Failure::at(out.display()))?;
    if fs::read_dir(out).map_err(Failure::at(out.display()))?.next().is_some() {
        // Every file in it would get a checksum, and none of a person's is deleted.
        return Err(Failure(format!("{} is not empty: give a new folder", out.display())));
    }
    let export = Export::of_last_commit(repo, place)?;
    manual::write(repo, &export.root, &export.manual())?;
    let release = Release::new(repo, &export)?;
    let mut programs = Vec::new();
    for architecture in architectures.iter().copied() {
        println!("building deaddrop {} for {}", release.version, architecture.triple());
        let program = release.build(architecture)?;
        archive::write(&release, architecture, &program, out)?;
        package::write(&release, architecture, out)?;
        programs.push((architecture, program));
    }
    sbom::write(&release, out)?;
    checksums::write(out)?;
    Ok(programs)
}

/// Removes a folder with everything in it, if it is there.
fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure(format!("{}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let (place, out) =
            (testbed::scratch::Scratch::new().unwrap(), testbed::scratch::Scratch::new().unwrap());
        let file = out.write("mine", b"x").unwrap();
        let place = place.path().join("place");
        let failure = make(&Repo::here(), &ARCHITECTURES, &place, out.path()).unwrap_err();
        assert!(failure.0.ends_with("is not empty: give a new folder"), "{failure}");
        assert!(file.is_file() && !place.exists());
    }

    #[test]
    fn the_stage_needs_what_the_command_needs() {
        let mut command = needs(&ARCHITECTURES, true);
        command.extend(VERIFY);
        let mut stage = STAGE.to_vec();
        command.sort();
        command.dedup();
        stage.sort();
        assert_eq!(stage, command);
    }

    #[test]
    fn the_help_names_every_architecture() {
        let help = Dist::from_args(&["dist"], &["--help"]).err().unwrap().output;
        assert!(ARCHITECTURES.iter().all(|architecture| help.contains(architecture.name())), "{help}");
    }
}
