//! The UDP port of beacons: free, shared or taken, and by which program.

use std::fs;

use super::finding::{Finding, Program};
use crate::lan::beacons::SkippedInterface;

/// What holds the shared UDP port, beside this process.
pub(super) fn udp(port: u16, skipped: &[SkippedInterface]) -> Finding {
    let open = skipped.iter().all(|skipped| skipped.receive_unavailable.is_none());
    Finding::UdpPort { port, open, by: holders(port) }
}

/// The programs that have a UDP port open. Only root sees those of other users.
fn holders(port: u16) -> Vec<Program> {
    let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(fs::read_to_string);
    let inodes: Vec<u64> = tables.iter().flatten().flat_map(|table| sockets(table, port)).collect();
    let mut programs = Vec::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for id in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if !inodes.is_empty() && id != std::process::id() && has_any(id, &inodes) {
            let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            programs.push(Program { name: name.trim().to_owned(), id });
        }
    }
    programs
}

/// The inodes of the sockets of this port in the system's table.
fn sockets(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let matches = u16::from_str_radix(local, 16) == Ok(port);
        fields.get(9).filter(|_| matches)?.parse().ok()
    };
    table.lines().skip(1).filter_map(row).collect()
}

fn has_any(id: u32, inodes: &[u64]) -> bool {
    let open = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|to| {
        let to = to.to_string_lossy();
        let inode = to.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_of_a_port_are_found_in_the_systems_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref\n\
                       63: 00000000:BDAB 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0\n\
                       64: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0 0\n\
                       65: broken\n";
        assert_eq!(sockets(table, 48_555), [4711]);
        assert_eq!(sockets(table, 53), [4712]);
        assert_eq!(sockets(table, 54), [] as [u64; 0]);
    }
}
