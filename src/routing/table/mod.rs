//! The route table: who serves a destination, by the advertised routes and the paths there.

mod balance;
mod candidate;
mod destination;
mod explain;
mod lately;
mod losses;
mod owned;
pub(super) mod prefix;
mod rebuild;
pub(super) mod route;

pub use balance::{Balancer, MAX_TURNS};
pub use candidate::Candidate;
pub use destination::Destination;
pub use explain::{Chosen, Considered, Explanation};
pub use lately::Lately;
pub use losses::LATELY;
pub use prefix::PrefixTable;
pub use rebuild::Rebuild;
pub use route::{BuildInput, Counts, MAX_CANDIDATES, RouteTable};
