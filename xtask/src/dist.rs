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

use crate::demo::{self, Discovery};
use crate::dist::build::Release;
use crate::dist::export::Export;
use crate::environment::architecture::{ARCHITECTURES, Architecture};
use crate::environment::prerequisites::{self, Prerequisite, WINDOWS};
use crate::environment::repo::{Failure, Repo};
use crate::manual;
use crate::stages::stage::Size;
use crate::windows;

/// Make a release of the last commit: for each processor a static program in an archive and in a package for Debian,
/// with man pages and completions; a program for Windows in a zip; the list of what the program is made of; and
/// checksums of it all.
#[derive(FromArgs)]
#[argh(subcommand, name = "dist")]
pub(crate) struct Dist {
    /// new folder to write into (target/dist)
    #[argh(option, arg_name = "path")]
    out: Option<PathBuf>,
    /// for this processor alone, under Linux; may be given several times (all: x86_64, aarch64, armv7)
    #[argh(option, arg_name = "name")]
    architecture: Vec<Architecture>,
    /// for Windows alone, or beside the processors that are named
    #[argh(switch)]
    windows: bool,
    /// make it twice, in different folders, and fail unless both have the same bytes; then hand over a message and a
    /// file with each program, and run the tests of exchanges with those of other processors
    #[argh(switch)]
    check: bool,
    /// make nothing; try the release that is there, as root: its package in a clean Debian 12, its service under systemd,
    /// its archive on a root without libraries
    #[argh(switch)]
    verify: bool,
    /// fetch what is missing: packages with apt when root, targets with rustup, tools with cargo
    #[argh(switch)]
    install: bool,
}

/// For which systems a release is made.
struct Systems {
    /// Linux on these processors.
    linux: Vec<Architecture>,
    windows: bool,
}

impl Systems {
    fn all() -> Self {
        Self { linux: ARCHITECTURES.to_vec(), windows: true }
    }

    fn wanted(dist: &Dist) -> Self {
        match (dist.architecture.as_slice(), dist.windows) {
            ([], false) => Self::all(),
            (some, windows) => Self { linux: some.to_vec(), windows },
        }
    }
}

/// Makes the release and says where it is.
pub(crate) fn run(repo: &Repo, dist: &Dist) -> Result<(), Failure> {
    let systems = Systems::wanted(dist);
    if dist.verify {
        prerequisites::demand(repo, VERIFY, dist.install)?;
        let out = dist.out.clone().unwrap_or_else(|| repo.cache("dist"));
        println!("{}", clean_root::check(repo, &out)?);
        return Ok(());
    }
    prerequisites::demand(repo, &needs(&systems, dist.check), dist.install)?;
    let out = match &dist.out {
        Some(out) => std::path::absolute(out).map_err(Failure::at(out.display()))?,
        None => emptied(repo)?,
    };
    if dist.check {
        check(repo, &systems, &out)?;
    } else {
        make(repo, &systems, &repo.cache("dist-build"), &out)?;
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
    Prerequisite::WindowsTarget,
    Prerequisite::WindowsCompiler,
    Prerequisite::Zip,
    Prerequisite::Wine,
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
    let made = check(repo, &Systems::all(), &out)?;
    Ok(format!("{made}; {}", clean_root::check(repo, &out)?))
}

/// The usual folder, without what an earlier release left there.
fn emptied(repo: &Repo) -> Result<PathBuf, Failure> {
    let out = repo.cache("dist");
    remove(&out)?;
    Ok(out)
}

/// What [`make`] needs, and [`check`] beside it.
fn needs(systems: &Systems, check: bool) -> Vec<Prerequisite> {
    let mut needs = vec![Prerequisite::CargoAuditable, Prerequisite::CargoCyclonedx, Prerequisite::CargoDeb];
    for architecture in systems.linux.iter().copied() {
        needs.extend([Prerequisite::StaticTarget(architecture), Prerequisite::CCompiler(architecture)]);
        if check {
            needs.push(Prerequisite::ProcessEmulator(architecture));
        }
    }
    if check {
        needs.extend([Prerequisite::Namespaces, Prerequisite::Nft, Prerequisite::Ip]);
    }
    if systems.windows {
        needs.extend([Prerequisite::WindowsTarget, Prerequisite::WindowsCompiler, Prerequisite::Zip]);
        if check {
            needs.push(Prerequisite::Wine);
        }
    }
    needs
}

/// Makes the release twice, in folders whose paths differ in length, compares the bytes, and runs the programs.
fn check(repo: &Repo, systems: &Systems, out: &Path) -> Result<String, Failure> {
    let again = repo.cache("dist-check");
    remove(&again)?;
    // Without spaces, which the dlltool of mingw does not take; rustc calls it for Windows.
    let builds = [repo.cache("dist-build"), again.join("in-a-folder/with-another-path")];
    let Programs { linux, windows } = make(repo, systems, &builds[0], out)?;
    make(repo, systems, &builds[1], &again.join("out"))?;
    let files = compare::same(out, &again.join("out"))?;
    for (architecture, program) in &linux {
        let program = build::runnable(*architecture, program, &again)?;
        demo::hand_over(&program, Discovery::Shown)?;
        if !architecture.is_ours() {
            emulated::test(repo, &program)?;
        }
    }
    if let Some(program) = &windows {
        windows::hand_over(repo, program)?;
    }
    remove(&again)?;
    remove(&builds[0])?;
    let programs = linux.len() + usize::from(windows.is_some());
    Ok(format!("{files} files, twice the same; {programs} programs run"))
}

/// The programs of a release.
#[derive(Debug, Default)]
struct Programs {
    linux: Vec<(Architecture, PathBuf)>,
    windows: Option<PathBuf>,
}

/// Makes the release in `out`, with all intermediate files in `place`. Gives the programs.
fn make(repo: &Repo, systems: &Systems, place: &Path, out: &Path) -> Result<Programs, Failure> {
    remove(place)?;
    fs::create_dir_all(out).map_err(Failure::at(out.display()))?;
    if fs::read_dir(out).map_err(Failure::at(out.display()))?.next().is_some() {
        // Every file in it would get a checksum, and none of a person's is deleted.
        return Err(Failure(format!("{} is not empty: give a new folder", out.display())));
    }
    let export = Export::of_last_commit(repo, place)?;
    manual::write(repo, &export.root, &export.manual())?;
    let release = Release::new(repo, &export)?;
    let mut programs = Programs::default();
    for architecture in systems.linux.iter().copied() {
        println!("building deaddrop {} for {}", release.version, architecture.triple());
        let program = release.build(architecture)?;
        archive::write(&release, architecture, &program, out)?;
        package::write(&release, architecture, out)?;
        programs.linux.push((architecture, program));
    }
    if !systems.linux.is_empty() {
        sbom::write(&release, out)?;
    }
    if systems.windows {
        println!("building deaddrop {} for {WINDOWS}", release.version);
        let program = release.build_for_windows()?;
        archive::write_for_windows(&release, &program, out)?;
        sbom::write_for_windows(&release, out)?;
        programs.windows = Some(program);
    }
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
        let failure = make(&Repo::here(), &Systems::all(), &place, out.path()).unwrap_err();
        assert!(failure.0.ends_with("is not empty: give a new folder"), "{failure}");
        assert!(file.is_file() && !place.exists());
    }

    #[test]
    fn the_stage_needs_what_the_command_needs() {
        let mut command = needs(&Systems::all(), true);
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
