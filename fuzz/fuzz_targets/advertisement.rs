#![no_main]
//! Advertisement bodies as anybody may sign them.

use libfuzzer_sys::fuzz_target;
use warren::wire::Advertisement;

fuzz_target!(|input: &[u8]| {
    if let Ok(adv) = Advertisement::decode(input) {
        let again = Advertisement::decode(&adv.encode()).expect("what was decoded encodes");
        assert_eq!(again, adv);
    }
});
