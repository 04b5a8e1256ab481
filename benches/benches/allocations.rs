//! Allocations of a whole session through the pure core: how many, and how much is held at once.
//!
//! A binary of its own, because counting makes every allocation a little slower.

mod world;

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use restante_session::SessionPolicy;

use crate::world::{COMMANDS, PER_USER, World, snapshot};

#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn main() {
    let (policy, snapshot) = (Arc::new(SessionPolicy::default()), snapshot(PER_USER));
    let mut world = None;
    print("begin", measure(|| world = Some(World::new(&policy, &snapshot))));
    let Some(mut world) = world else { return };
    for command in COMMANDS {
        let counted = measure(|| world.say(command));
        print(&String::from_utf8_lossy(command), counted);
    }
    println!("{} octets were said", world.n_sent);
    let whole = measure(|| {
        let mut world = World::new(&policy, &snapshot);
        for command in COMMANDS {
            world.say(command);
        }
    });
    print("a whole session", whole);
}

#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn print(what: &str, counted: AllocationInfo) {
    println!(
        "{}: {} allocations of {} octets, {} at once",
        what.trim_end(),
        counted.count_total,
        counted.bytes_total,
        counted.bytes_max
    );
}
