//! Faults of a process and of what it stands on. Each is a guard: dropping it heals, as far as it
//! can be healed.
//!
//! | fault | what it takes |
//! |---|---|
//! | [`Victim::kill`] | a process; starting it again is its owner's to do |
//! | [`Stopped`] | SIGSTOP, then SIGCONT |
//! | [`Slowed`], [`Hog`] | its share of the CPU |
//! | [`SmallDisk`], [`Filled`] | the room in its data folder, on a file system of its own |
//! | [`Starved`] | its file descriptors |
//! | [`Clock`] | its wall clock |
//!
//! Processes are held by a descriptor (pidfd_open(2)), not by a number that another process may
//! have by the time the guard is dropped. Only explicitly named processes are ever touched.

mod cli;
mod clock;
mod descriptors;
mod disk;
mod hog;
mod slow;
mod victim;

pub use cli::{FaultArgs, run};
pub use clock::{Clock, ClockError, Step};
pub use descriptors::Starved;
pub use disk::{Filled, SmallDisk};
pub use hog::Hog;
pub use slow::Slowed;
pub use victim::{FaultError, Stopped, Victim};

#[cfg(test)]
mod tests;
