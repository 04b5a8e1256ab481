//! The cases every back-end must pass, and mutants that must fail them.
