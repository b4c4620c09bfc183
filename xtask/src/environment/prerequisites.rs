//! Programs and devices that a stage needs beyond cargo and a linker: detects them and installs them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::environment::architecture::Architecture;
use crate::environment::repo::{Failure, Repo, shown_run, succeeds};
use crate::environment::toolchain::{self, Target};
use crate::environment::wine::Wine;

/// The release of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";
/// The releases of the tools that make a release. Others may write other bytes.
const CARGO_AUDITABLE: &str = "0.7.7";
const CARGO_CYCLONEDX: &str = "0.5.9";
const CARGO_DEB: &str = "3.8.0";

/// The target of the program for macOS.
pub(crate) const MACOS: &str = "aarch64-apple-darwin";

/// The target of the program for Windows, and its C compiler.
pub(crate) const WINDOWS: &str = "x86_64-pc-windows-gnu";
pub(crate) const WINDOWS_COMPILER: &str = "x86_64-w64-mingw32-gcc-win32";

/// Makes the device node `/dev/net/tun`.
const TUN_NODE: &str = "mkdir -p /dev/net && mknod -m 600 /dev/net/tun c 10 200";

/// A program, a compiler or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prerequisite {
    /// `cargo fmt`.
    Rustfmt,
    /// `cargo clippy`.
    Clippy,
    /// The checker of the dependency tree.
    CargoDeny,
    /// A compiler with libcore for this target, and a linker for it.
    BareMetal(Target),
    /// `unshare` and `nsenter`: tests make hosts of network namespaces.
    Namespaces,
    /// `ip`: tests connect the namespaces.
    Ip,
    /// `nft`: tests drop packets.
    Nft,
    /// `socat`: the bench compares transfers with it, plain and with TLS.
    Socat,
    /// `openssl`: makes the certificate of socat's TLS.
    Openssl,
    /// `sshd` and `scp`: the bench compares transfers with them.
    Sshd,
    /// GNU time, which measures a process, and `pkill`, which interrupts the process that GNU time runs.
    Time,
    /// `strace`, which kills a receiver at a system call, or has that fail.
    Strace,
    /// What the recipes of `host/docs/recipes.md` are made of: `jq`, `age`, `ssh-keygen` and `systemd-analyze`.
    RecipeTools,
    /// QEMU, which emulates a board.
    Emulator,
    /// Root and `/dev/net/tun`: an emulated board is connected to its switch by a tap.
    Taps,
    /// Root and `debootstrap`: a release is tried in a clean Debian.
    CleanRoot,
    /// `valgrind`, whose callgrind counts instructions.
    Valgrind,
    /// OpenSSL's headers and `pkg-config`, which finds them: the build with OpenSSL's cipher.
    OpensslHeaders,
    /// `bash`, `zsh` and `fish`, for which there are completions.
    Shells,
    /// `groff` and `mandoc`, which show man pages.
    ManTools,
    /// The standard library for static programs.
    StaticTarget(Architecture),
    /// A C compiler for this processor, for ring.
    CCompiler(Architecture),
    /// QEMU's emulation of processes for this processor.
    ProcessEmulator(Architecture),
    /// The standard library for macOS.
    MacosTarget,
    /// The standard library for Windows.
    WindowsTarget,
    /// A C compiler for Windows, for ring, which links its programs too.
    WindowsCompiler,
    /// Runs programs for Windows.
    Wine,
    /// Writes the archive for Windows.
    Zip,
    /// Writes the list of dependencies into a program.
    CargoAuditable,
    /// Writes the list of dependencies as a file, a software bill of materials.
    CargoCyclonedx,
    /// Makes packages for Debian.
    CargoDeb,
}

/// Where a prerequisite can be installed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// `rustup` with these words.
    Rustup(&'static str),
    /// `rustup target add` of this target.
    RustupTarget(&'static str),
    /// Packages of Debian.
    Apt(&'static [&'static str]),
    /// The same, but useful to Debian's cargo only; cargo of rustup does not look there.
    AptForDebianRust(&'static [&'static str]),
    /// The device node `/dev/net/tun`.
    TunNode,
    /// `cargo install` of this crate and release, below `target/`.
    Cargo(&'static str, &'static str),
}

/// The facts about this machine that decide which sources can be used.
#[derive(Clone, Copy)]
struct Machine {
    rustup: bool,
    apt: bool,
    root: bool,
}

impl Prerequisite {
    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
            Self::CargoDeny => "cargo-deny",
            Self::BareMetal(target) => target.triple(),
            Self::Namespaces => "unshare, nsenter",
            Self::Ip => "ip",
            Self::Nft => "nft",
            Self::Socat => "socat",
            Self::Openssl => "openssl",
            Self::Sshd => "sshd, scp",
            Self::Time => "time, pkill",
            Self::Strace => "strace",
            Self::RecipeTools => "jq, age, ssh-keygen, systemd-analyze",
            Self::Emulator => "qemu-system-arm",
            Self::Taps => "root and /dev/net/tun",
            Self::CleanRoot => "root and debootstrap",
            Self::Valgrind => "valgrind",
            Self::OpensslHeaders => "pkg-config, OpenSSL's headers",
            Self::Shells => "bash, zsh, fish",
            Self::ManTools => "groff, mandoc",
            Self::StaticTarget(architecture) => architecture.triple(),
            Self::CCompiler(architecture) => architecture.c_compiler(),
            Self::ProcessEmulator(architecture) => architecture.emulator(),
            Self::MacosTarget => MACOS,
            Self::WindowsTarget => WINDOWS,
            Self::WindowsCompiler => WINDOWS_COMPILER,
            Self::Wine => "wine64",
            Self::Zip => "zip",
            Self::CargoAuditable => "cargo-auditable",
            Self::CargoCyclonedx => "cargo-cyclonedx",
            Self::CargoDeb => "cargo-deb",
        }
    }

    /// Whether it is installed and works.
    pub(crate) fn is_met(self, repo: &Repo) -> bool {
        match self {
            Self::Rustfmt => succeeds(&mut repo.cargo(["fmt", "--version"])),
            Self::Clippy => succeeds(&mut repo.cargo(["clippy", "--version"])),
            Self::CargoDeny | Self::CargoAuditable | Self::CargoCyclonedx | Self::CargoDeb => {
                cargo_tool(repo, self).is_some()
            }
            Self::BareMetal(target) => toolchain::can_build(repo, target),
            Self::Namespaces => {
                ["unshare", "nsenter"].iter().all(|tool| succeeds(repo.program(tool).arg("--version")))
            }
            Self::Ip => succeeds(repo.program("ip").arg("-V")),
            Self::Nft => succeeds(repo.program("nft").arg("--version")),
            Self::Socat => succeeds(repo.program("socat").arg("-V")),
            Self::Strace => succeeds(repo.program("strace").arg("-V")),
            Self::Openssl => succeeds(repo.program("openssl").arg("version")),
            Self::Sshd => {
                std::path::Path::new("/usr/sbin/sshd").is_file() && succeeds(repo.program("ssh").arg("-V"))
            }
            Self::Time => {
                succeeds(repo.program("/usr/bin/time").arg("--version"))
                    && succeeds(repo.program("pkill").arg("--version"))
            }
            Self::RecipeTools => {
                // ssh-keygen has no option for its version: it is in one package with ssh.
                let has = |tool: &str, option: &str| succeeds(repo.program(tool).arg(option));
                has("ssh", "-V") && ["jq", "age", "systemd-analyze"].iter().all(|tool| has(tool, "--version"))
            }
            Self::Emulator => succeeds(repo.program("qemu-system-arm").arg("--version")),
            Self::Taps => Machine::look(repo).root && std::fs::File::open("/dev/net/tun").is_ok(),
            Self::CleanRoot => {
                Machine::look(repo).root && succeeds(repo.program("debootstrap").arg("--version"))
            }
            Self::Valgrind => succeeds(repo.program("valgrind").arg("--version")),
            Self::OpensslHeaders => succeeds(repo.program("pkg-config").args(["--exists", "openssl >= 3"])),
            Self::Shells => {
                ["bash", "zsh", "fish"].iter().all(|shell| succeeds(repo.program(shell).arg("--version")))
            }
            Self::ManTools => {
                // mandoc has no option for its version: it formats an empty page.
                succeeds(repo.program("groff").arg("--version")) && succeeds(&mut repo.program("mandoc"))
            }
            Self::StaticTarget(architecture) => architecture.has_library(repo),
            Self::CCompiler(architecture) => architecture.has_c_compiler(repo),
            Self::MacosTarget => toolchain::has_library(repo, MACOS),
            Self::WindowsTarget => toolchain::has_library(repo, WINDOWS),
            Self::WindowsCompiler => succeeds(repo.program(WINDOWS_COMPILER).arg("--version")),
            Self::Wine => Wine::find(repo).is_some(),
            Self::Zip => succeeds(repo.program("zip").arg("--version")),
            Self::ProcessEmulator(architecture) => architecture.can_run(repo),
        }
    }

    /// The sources to install it from, best first.
    fn sources(self) -> Vec<Source> {
        match self {
            Self::Rustfmt => {
                vec![Source::Rustup("component add rustfmt"), Source::AptForDebianRust(&["rustfmt-web"])]
            }
            Self::Clippy => {
                vec![Source::Rustup("component add clippy"), Source::AptForDebianRust(&["rust-web-clippy"])]
            }
            Self::CargoDeny => vec![Source::Cargo("cargo-deny", CARGO_DENY)],
            Self::BareMetal(target) => {
                vec![Source::RustupTarget(target.triple()), Source::Apt(toolchain::DEBIAN_PACKAGES)]
            }
            Self::Namespaces => vec![Source::Apt(&["util-linux"])],
            Self::Ip => vec![Source::Apt(&["iproute2"])],
            Self::Nft => vec![Source::Apt(&["nftables"])],
            Self::RecipeTools => vec![Source::Apt(&["age", "jq", "openssh-client", "systemd"])],
            Self::Emulator => vec![Source::Apt(&["qemu-system-arm"])],
            // The kernel must have the device; root can make its node.
            Self::Taps => vec![Source::TunNode],
            Self::Socat => vec![Source::Apt(&["socat"])],
            Self::Strace => vec![Source::Apt(&["strace"])],
            Self::Openssl => vec![Source::Apt(&["openssl"])],
            Self::Sshd => vec![Source::Apt(&["openssh-server", "openssh-client"])],
            Self::Time => vec![Source::Apt(&["time", "procps"])],
            Self::CleanRoot => vec![Source::Apt(&["debootstrap"])],
            Self::Valgrind => vec![Source::Apt(&["valgrind"])],
            Self::OpensslHeaders => vec![Source::Apt(&["libssl-dev", "pkg-config"])],
            Self::Shells => vec![Source::Apt(&["bash", "fish", "zsh"])],
            Self::ManTools => vec![Source::Apt(&["groff-base", "mandoc"])],
            Self::StaticTarget(architecture) => vec![Source::RustupTarget(architecture.triple())],
            Self::CCompiler(architecture) => vec![Source::Apt(architecture.c_packages())],
            Self::ProcessEmulator(_) => vec![Source::Apt(&["qemu-user-static"])],
            Self::MacosTarget => vec![Source::RustupTarget(MACOS)],
            Self::WindowsTarget => vec![Source::RustupTarget(WINDOWS)],
            Self::WindowsCompiler => vec![Source::Apt(&["gcc-mingw-w64-x86-64-win32"])],
            Self::Wine => vec![Source::Apt(&["wine64"])],
            Self::Zip => vec![Source::Apt(&["zip"])],
            Self::CargoAuditable => vec![Source::Cargo("cargo-auditable", CARGO_AUDITABLE)],
            Self::CargoCyclonedx => vec![Source::Cargo("cargo-cyclonedx", CARGO_CYCLONEDX)],
            Self::CargoDeb => vec![Source::Cargo("cargo-deb", CARGO_DEB)],
        }
    }
}

/// The path of a tool that cargo installs: the one below `target/`, or one on the PATH.
pub(crate) fn cargo_tool(repo: &Repo, tool: Prerequisite) -> Option<PathBuf> {
    let ours = repo.cache("tools").join("bin").join(tool.name());
    [ours, tool.name().into()].into_iter().find(|path| {
        let mut command = repo.program(path);
        // The subcommands of cargo take their own name first; cargo-deny does not.
        if let Some(name) = tool.name().strip_prefix("cargo-").filter(|_| tool != Prerequisite::CargoDeny) {
            command.arg(name);
        }
        succeeds(command.arg("--version"))
    })
}

/// The prerequisites of `needed` that are not met, without repetition.
pub(crate) fn missing<'a>(
    repo: &Repo,
    needed: impl IntoIterator<Item = &'a Prerequisite>,
) -> BTreeSet<Prerequisite> {
    let all: BTreeSet<Prerequisite> = needed.into_iter().copied().collect();
    all.into_iter().filter(|need| !need.is_met(repo)).collect()
}

/// Fails unless all of `needed` is met, after installing what is missing if `fetch`. The failure has the command
/// line that installs it.
pub(crate) fn demand(repo: &Repo, needed: &[Prerequisite], fetch: bool) -> Result<(), Failure> {
    let mut missing = missing(repo, needed);
    if fetch && !missing.is_empty() {
        install(repo, &missing);
        missing = self::missing(repo, needed);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|need| need.name()).collect();
    Err(Failure(format!(
        "missing: {}; to get what is missing:\n    {}",
        names.join(", "),
        line_to_copy(repo, &missing)
    )))
}

/// One command line to copy, which installs all of `missing` on this machine.
pub(crate) fn line_to_copy(repo: &Repo, missing: &BTreeSet<Prerequisite>) -> String {
    Machine::look(repo).line(missing)
}

/// Installs each from the first source that works. Prints failures; the caller checks again what is still
/// missing.
pub(crate) fn install(repo: &Repo, missing: &BTreeSet<Prerequisite>) {
    let machine = Machine::look(repo);
    let mut lists_are_fresh = false;
    for need in missing {
        for source in need.sources().into_iter().filter(|source| machine.is_open(*source)) {
            println!("fetching {}", need.name());
            match machine.go(repo, source, &mut lists_are_fresh) {
                Ok(()) if need.is_met(repo) => break,
                Ok(()) => println!("{}: it was fetched and still does not work", need.name()),
                Err(failure) => println!("{}: {failure}", need.name()),
            }
        }
    }
}

impl Machine {
    fn look(repo: &Repo) -> Self {
        Self {
            // rustup's proxies set this; the distribution's cargo does not, even where rustup is installed too.
            rustup: std::env::var_os("RUSTUP_TOOLCHAIN").is_some()
                && succeeds(repo.program("rustup").arg("--version")),
            apt: succeeds(repo.program("apt-get").arg("--version")),
            root: succeeds(repo.program("sh").args(["-c", "test \"$(id -u)\" = 0"])),
        }
    }

    fn is_open(self, source: Source) -> bool {
        match source {
            Source::Rustup(_) | Source::RustupTarget(_) => self.rustup,
            Source::Apt(_) => self.apt && self.root,
            Source::TunNode => self.root,
            Source::AptForDebianRust(_) => self.apt && self.root && !self.rustup,
            Source::Cargo(..) => true,
        }
    }

    /// The best source for a person, assuming that they may become root.
    fn best(self, need: Prerequisite) -> Option<Source> {
        let open = |source: &Source| Self { root: true, ..self }.is_open(*source);
        let sources = need.sources();
        sources.iter().copied().find(open).or_else(|| sources.first().copied())
    }

    fn line(self, missing: &BTreeSet<Prerequisite>) -> String {
        let mut commands = Vec::new();
        let mut packages: BTreeSet<&str> = BTreeSet::new();
        let mut targets = Vec::new();
        for source in missing.iter().filter_map(|need| self.best(*need)) {
            match source {
                Source::Rustup(words) => commands.push(format!("rustup {words}")),
                Source::RustupTarget(target) => targets.push(target),
                Source::Apt(names) | Source::AptForDebianRust(names) => packages.extend(names),
                Source::TunNode => {
                    commands.push(format!("sudo sh -c '{TUN_NODE}', and then this again with sudo"));
                }
                Source::Cargo(name, version) => {
                    commands
                        .push(format!("cargo {}", cargo_install(name, version, "target/tools").join(" ")));
                }
            }
        }
        if !targets.is_empty() {
            commands.push(format!("rustup target add {}", targets.join(" ")));
        }
        if !packages.is_empty() {
            let sudo = if self.root { "" } else { "sudo " };
            let packages: Vec<_> = packages.into_iter().collect();
            commands.insert(
                0,
                format!(
                    "{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {}",
                    packages.join(" ")
                ),
            );
        }
        commands.join(" && ")
    }

    fn go(self, repo: &Repo, source: Source, lists_are_fresh: &mut bool) -> Result<(), Failure> {
        match source {
            Source::Rustup(words) => shown_run(repo.program("rustup").args(words.split(' '))),
            Source::TunNode => shown_run(repo.program("sh").args(["-c", TUN_NODE])),
            Source::RustupTarget(target) => shown_run(repo.program("rustup").args(["target", "add", target])),
            Source::Apt(names) | Source::AptForDebianRust(names) => {
                if !*lists_are_fresh {
                    shown_run(repo.program("apt-get").args(["-q", "update"]))?;
                    *lists_are_fresh = true;
                }
                shown_run(
                    repo.program("apt-get")
                        .env("DEBIAN_FRONTEND", "noninteractive")
                        .args(["-q", "-y", "--no-install-recommends", "install"])
                        .args(names),
                )
            }
            Source::Cargo(name, version) => {
                let tools = repo.cache("tools");
                let args = cargo_install(name, version, &tools.to_string_lossy());
                shown_run(repo.cargo(args).arg("--target-dir").arg(tools.join("build")))?;
                // Half a gigabyte that is not needed again.
                std::fs::remove_dir_all(tools.join("build")).map_err(Failure::at("target/tools/build"))
            }
        }
    }
}

/// An unoptimised build: the program runs for a second, and building it in release mode with link-time
/// optimisation takes several times as long as everything else that is fetched.
fn cargo_install(name: &str, version: &str, to: &str) -> Vec<String> {
    ["install", name, "--version", version, "--locked", "--debug", "--root", to].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const M3: Prerequisite = Prerequisite::BareMetal(Target::Thumbv7m);
    const NONE: Machine = Machine { rustup: false, apt: false, root: false };

    #[test]
    fn with_rustup_nothing_is_asked_of_apt() {
        let machine = Machine { rustup: true, apt: true, root: true };
        let line = machine.line(&BTreeSet::from([Prerequisite::Clippy, M3]));
        assert_eq!(line, "rustup component add clippy && rustup target add thumbv7m-none-eabi");
    }

    #[test]
    fn what_rustup_cannot_get_is_asked_of_apt_only_where_it_helps() {
        let machine = Machine { rustup: true, apt: true, root: true };
        let open =
            |need: Prerequisite| need.sources().into_iter().filter(|source| machine.is_open(*source)).count();
        assert_eq!(open(M3), 2, "libcore can come from Debian whatever cargo there is");
        assert_eq!(open(Prerequisite::Clippy), 1);
        assert_eq!(open(Prerequisite::Rustfmt), 1);
    }

    #[test]
    fn packages_are_fetched_together_and_each_once() {
        let machine = Machine { apt: true, root: true, ..NONE };
        let line = machine.line(&BTreeSet::from([M3, Prerequisite::Clippy, Prerequisite::Rustfmt]));
        assert_eq!(
            line,
            "apt-get update && apt-get install -y --no-install-recommends \
             binutils-arm-none-eabi cargo-web rust-web-clippy rust-web-src rustc-web rustfmt-web"
        );
    }

    #[test]
    fn without_root_the_command_line_has_sudo() {
        let machine = Machine { apt: true, ..NONE };
        assert!(!machine.is_open(Source::Apt(&["x"])));
        let line = machine.line(&BTreeSet::from([Prerequisite::Rustfmt]));
        assert!(line.starts_with("sudo apt-get update && sudo apt-get install"), "{line}");
    }

    #[test]
    fn there_is_always_something_to_copy() {
        let all = [
            Prerequisite::Rustfmt,
            Prerequisite::Clippy,
            Prerequisite::CargoDeny,
            M3,
            Prerequisite::Namespaces,
            Prerequisite::Ip,
            Prerequisite::Valgrind,
            Prerequisite::Shells,
            Prerequisite::ManTools,
            Prerequisite::StaticTarget(Architecture::Aarch64),
            Prerequisite::CCompiler(Architecture::Aarch64),
            Prerequisite::CargoDeb,
        ];
        for need in all {
            assert!(!NONE.line(&BTreeSet::from([need])).is_empty());
        }
        assert_eq!(NONE.line(&BTreeSet::new()), "");
        let line = NONE.line(&BTreeSet::from([Prerequisite::CargoDeny]));
        assert!(line.starts_with("cargo install cargo-deny --version 0."), "{line}");
        assert!(line.ends_with("--root target/tools"), "{line}");
    }

    #[test]
    fn targets_are_fetched_together() {
        let machine = Machine { rustup: true, ..NONE };
        let line = machine.line(&BTreeSet::from([M3, Prerequisite::BareMetal(Target::Thumbv6m)]));
        assert_eq!(line, "rustup target add thumbv6m-none-eabi thumbv7m-none-eabi");
    }
}
