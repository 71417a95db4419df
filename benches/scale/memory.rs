//! What this process takes of the machine's memory.

use std::fs;

/// Resident bytes; 0 where the system does not say.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<usize> = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    kib.unwrap_or(0) * 1024
}

/// An error that says so once more than `gib` are taken.
pub(crate) fn check(gib: usize) -> Result<(), String> {
    let taken = resident();
    if taken > gib << 30 {
        let mib = taken >> 20;
        return Err(format!(
            "{mib} MiB taken, over --memory-gib {gib}; run fewer agents or allow more"
        ));
    }
    Ok(())
}
