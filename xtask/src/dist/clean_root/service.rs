//! Tries the package's user service under a systemd of its own: process 1 of a Debian 12 with a login manager and D-Bus, in
//! namespaces and a control group of their own.

use std::fs;
use std::path::Path;

use testbed::scratch::Scratch;

use super::{MOUNT, apart, debian, run};
use crate::environment::repo::{Failure, Repo, captured};

/// Runs a systemd in the root that is mounted.
const BOOT: &str = include_str!("boot.sh");
/// What is tried there, and the unit of the system that does it.
const SERVICE: &str = include_str!("service.sh");
const UNIT: &str = include_str!("trial.service");

/// What a user of Debian has, and its smallest installation has not. debootstrap does not follow all that they need.
const PACKAGES: &str = "man-db,systemd-sysv,libpam-systemd,dbus,dbus-bin,dbus-daemon,dbus-session-bus-common,\
                        dbus-system-bus-common,dbus-user-session";

/// Makes a control group and removes it, with the version of groups that systemd wants.
const GROUP: &str = r#"
place=$(mktemp -d)
mount -t cgroup2 cgroup2 "$place"
rmdir "$(mktemp -d "$place/deaddrop.XXXXXX")"
umount "$place" && rmdir "$place""#;

/// Tries the service of this package. Gives what to say of it, also where this machine cannot.
pub(super) fn check(repo: &Repo, package: &Path) -> Result<String, Failure> {
    if let Err(failure) = captured(&mut apart(GROUP)) {
        let why = failure.0.lines().rev().nth(1).unwrap_or_default().to_owned();
        return Ok(format!("its service not run: no control groups can be made here: {why}"));
    }
    let place = Scratch::new()?;
    fs::copy(package, place.path().join("new.deb")).map_err(Failure::at(package.display()))?;
    for (name, text) in [("service.sh", SERVICE), ("trial.service", UNIT), ("printed", "")] {
        place.write(name, text.as_bytes())?;
    }
    let root = debian(repo, "debian-12-systemd", PACKAGES)?;
    run(apart(&format!("{MOUNT}{BOOT}")).arg(root).arg(place.path()))?;
    // The exit code has come through systemd.
    let printed = fs::read_to_string(place.path().join("printed")).map_err(Failure::at("printed"))?;
    if !printed.trim_end().ends_with("== done") {
        return Err(Failure(format!("the trial of the service ended early, without a failure:\n{printed}")));
    }
    Ok("its service fetches under systemd".into())
}
