//! Tries a release where nothing else is: its package in a clean Debian 12, its archive on a root without any library.
//!
//! All of it in namespaces of its own: only loopback is there, and what is mounted and written is gone at the end. The
//! root of Debian is made once, by debootstrap, and only read.

mod service;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::scratch::Scratch;

use crate::environment::architecture::ARCHITECTURES;
use crate::environment::repo::{Failure, Repo, captured};

/// The scripts that run on the two roots.
const DEBIAN: &str = include_str!("clean_root/debian.sh");
const BARE: &str = include_str!("clean_root/bare.sh");

/// Mounts the root `$1` below `$2` so that nothing written stays, and names it `$root`.
const MOUNT: &str = r#"
ip link set lo up
mkdir -p "$2/run" && mount -t tmpfs tmpfs "$2/run" && mkdir "$2/run/upper" "$2/run/work" "$2/run/root"
root=$2/run/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/run/upper,workdir=$2/run/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero random urandom tty; do touch "$root/dev/$node" && mount --bind "/dev/$node" "$root/dev/$node"; done
"#;

/// Runs the script of `$2` there, with its packages.
const ENTER: &str = r#"
mkdir "$root/release" && cp "$2"/*.deb "$2"/debian.sh "$root/release"
exec env -i HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" sh -eu /release/debian.sh"#;

/// Tries the release in `out`, for this machine's processor.
pub(super) fn check(repo: &Repo, out: &Path) -> Result<String, Failure> {
    let ours = ARCHITECTURES.into_iter().find(|architecture| architecture.is_ours());
    let ours = ours.ok_or_else(|| Failure::new("a release has no program for this machine's processor"))?;
    let place = Scratch::new()?;
    let theirs = captured(repo.program("dpkg").arg("--print-architecture"))?;
    let package = ending(out, &format!("_{}.deb", theirs.trim()))?;
    let [old, new] = ["old.deb", "new.deb"].map(|name| place.path().join(name));
    fs::copy(&package, &old).map_err(Failure::at(package.display()))?;
    repack_as_newer(repo, &old, &new)?;
    place.write("debian.sh", DEBIAN.as_bytes())?;
    let root = debian(repo, "debian-12", "man-db")?;
    run(apart(&format!("{MOUNT}{ENTER}")).arg(root).arg(place.path()))?;
    let service = service::check(repo, &new)?;

    let bare = Scratch::new()?;
    let mut tar = repo.program("tar");
    tar.arg("--extract").arg("--file").arg(ending(out, &format!("-{}-linux.tar.gz", ours.name()))?);
    tar.arg("--directory").arg(bare.path()).args(["--strip-components=1", "--wildcards", "*/deaddrop"]);
    captured(&mut tar)?;
    let script = place.write("bare.sh", BARE.as_bytes())?;
    run(apart(r#"ip link set lo up; exec sh -eu "$@""#).arg(script).arg(bare.path()))?;
    Ok(format!("the package works in a clean Debian 12, {service}, the archive on a root without libraries"))
}

/// Runs a script. Its failure has what it printed, and not its text.
fn run(command: &mut Command) -> Result<(), Failure> {
    match captured(command) {
        Ok(_) => Ok(()),
        Err(failure) => {
            let printed = failure.0.find("\n== ").map_or(&*failure.0, |at| &failure.0[at + 1..]);
            Err(Failure(format!("the release does not work on a clean root:\n{printed}")))
        }
    }
}

/// A shell in namespaces of its own, with this script. What it starts ends with it.
fn apart(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]);
    command.args(["sh", "-euc", script, "sh"]);
    command
}

/// The one file of a release whose name ends like this.
fn ending(out: &Path, end: &str) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(out).map_err(Failure::at(out.display()))?;
    let paths = entries.map_while(Result::ok).map(|entry| entry.path());
    let mut fitting = paths.filter(|path| path.to_string_lossy().ends_with(end));
    match (fitting.next(), fitting.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(Failure(format!("{} has no file *{end}, or several: make a release first", out.display()))),
    }
}

/// The root of a Debian 12 with these packages and nothing else, made once under this name.
fn debian(repo: &Repo, name: &str, packages: &str) -> Result<PathBuf, Failure> {
    let (root, part) = (repo.cache(name), repo.cache(&format!("{name}.part")));
    let list = repo.cache(&format!("{name}.packages"));
    if !root.exists() || fs::read_to_string(&list).ok().as_deref() != Some(packages) {
        println!("fetching a Debian 12");
        super::remove(&part)?;
        super::remove(&root)?;
        fs::write(&list, packages).map_err(Failure::at(list.display()))?;
        let mut debootstrap = repo.program("debootstrap");
        debootstrap.args(["--variant=minbase", &format!("--include={packages}"), "bookworm"]);
        captured(debootstrap.arg(&part))?;
        fs::rename(&part, &root).map_err(Failure::at(root.display()))?;
    }
    Ok(root)
}

/// The same package with a higher version, to be upgraded to.
fn repack_as_newer(repo: &Repo, old: &Path, new: &Path) -> Result<(), Failure> {
    let place = Scratch::new()?;
    let tree = place.path().join("tree");
    captured(repo.program("dpkg-deb").arg("--raw-extract").args([old, &tree]))?;
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).map_err(Failure::at(control.display()))?;
    let lines = text.lines().map(|line| match line.strip_prefix("Version: ") {
        Some(version) => format!("Version: {version}+1\n"),
        None => format!("{line}\n"),
    });
    fs::write(&control, lines.collect::<String>()).map_err(Failure::at(control.display()))?;
    captured(repo.program("dpkg-deb").args(["--root-owner-group", "--build"]).args([&tree, new])).map(drop)
}
