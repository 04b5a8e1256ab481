//! SASL server mechanisms without I/O.
