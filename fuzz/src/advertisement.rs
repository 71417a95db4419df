//! Advertisement bodies as anybody may sign them.

use warren::canonical;
use warren::text::NAME_BYTES;
use warren::wire::Advertisement;
use warren::wire::bounds::{MAX_BODY_BYTES, MAX_FRAGMENT_ROUTES};

/// What decodes keeps its bounds, and says the same when it is encoded again.
pub fn run(input: &[u8]) {
    let Ok(adv) = Advertisement::decode(input) else {
        return;
    };
    assert!(input.len() <= MAX_BODY_BYTES);
    match &adv {
        Advertisement::Link(link) => {
            assert!(link.display_name.len() <= NAME_BYTES);
            assert!(link.neighbors.is_sorted_by(|a, b| a.id < b.id));
        }
        Advertisement::Route(route) => {
            assert!(route.prefixes.len() + route.domains.len() <= MAX_FRAGMENT_ROUTES);
            assert!(route.fragment < route.fragments);
            let mut prefixes = route.prefixes.iter();
            assert!(prefixes.all(|route| canonical::is_prefix(&route.prefix)));
        }
    }
    let again = Advertisement::decode(&adv.encode()).expect("what was decoded encodes");
    assert_eq!(again, adv);
}
