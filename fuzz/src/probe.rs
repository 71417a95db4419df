//! Path probes: a session's secret, then a packet as anybody may send it.

use warren::tunnel::{Probe, ProbeFlags, ProbeKey};
use warren::wire::packet::Header;

/// Bytes of tag, sequence, flags and code.
const CODED: usize = 33;

/// A probe verifies at the other end, and no longer when a bit of it was changed.
pub fn run(input: &[u8]) {
    let Some((secret, packet)) = input.split_first_chunk::<40>() else {
        return;
    };
    let Ok(header) = Header::parse(packet) else {
        return;
    };
    let key = ProbeKey::from_secret(secret);
    let payload = &packet[header.header_len()..];
    let Some(probe) = Probe::parse(payload) else {
        assert!(!key.verify(&header, payload), "too short to be a probe");
        return;
    };
    check_sealed(&key, &header, probe, payload.len());
    // Who knows the secret, as libFuzzer does, can find the code; a flag that means nothing yet is
    // covered like any other.
    let sealed = key.seal(&header, probe, payload.len());
    if payload[16] <= 7 {
        let is_same = payload[..CODED] == sealed[..CODED];
        assert_eq!(key.verify(&header, payload), is_same);
    }
}

fn check_sealed(key: &ProbeKey, header: &Header<'_>, probe: Probe, size: usize) {
    let mut sealed = key.seal(header, probe, size);
    assert_eq!(sealed.len(), size);
    assert!(key.verify(header, &sealed));
    assert_eq!(Probe::parse(&sealed), Some(probe));
    let flags = ProbeFlags {
        active: !probe.flags.active,
        ..probe.flags
    };
    let other = key.seal(header, Probe { flags, ..probe }, size);
    assert_ne!(sealed, other);
    // Tag, sequence, flags and code are covered; the zeros behind them by their number alone.
    let bit = probe.sequence as usize % (CODED * 8);
    sealed[bit / 8] ^= 1 << (bit % 8);
    assert!(!key.verify(header, &sealed), "bit {bit} was flipped");
}
