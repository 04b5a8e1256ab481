//! The one binary: serve, demo and every operator command.
fn main() {}
