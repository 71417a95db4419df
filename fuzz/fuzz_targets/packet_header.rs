#![no_main]
//! Packet headers as anybody may send them.

use libfuzzer_sys::fuzz_target;
use warren::wire::packet::{Header, advance};

fuzz_target!(|input: &[u8]| {
    let Ok(header) = Header::parse(input) else {
        return;
    };
    let (len, count) = (header.header_len(), header.count());
    assert!(len <= input.len());
    assert_eq!(header.reverse().len(), count);
    assert_eq!(header.back().len(), header.index() + 1);
    if header.next().is_some() {
        let mut packet = input.to_vec();
        advance(&mut packet, 7);
        let moved = Header::parse(&packet).expect("an advanced header parses");
        assert_eq!(moved.token(), 7);
        assert_eq!(Some(moved.here()), header.next());
    }
});
