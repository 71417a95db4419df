//! The routing core of one agent among a few others: links come and go, neighbours flood whatever
//! anybody may sign, time passes. A small reference model says what the core must know after each
//! step, an enumeration of all paths what it must choose.

#[path = "../../tests/simulation/authority.rs"]
mod authority;

mod driver;
mod model;
mod objects;
mod outputs;
mod paths;

use arbitrary::Unstructured;

use driver::Driver;

/// More steps say nothing that fewer do not.
const MOST_STEPS: usize = 256;

/// Steps between two comparisons of all paths.
const PATHS_EVERY: usize = 16;

/// Takes the input as a sequence of steps.
pub fn run(input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let mut driver = Driver::new();
    for count in 1..=MOST_STEPS {
        if bytes.is_empty() {
            break;
        }
        if driver.step(&mut bytes).is_err() {
            break;
        }
        if count % PATHS_EVERY == 0 {
            driver.compare_paths();
        }
    }
    driver.compare_paths();
}
