//! Settings as plain data, a file per area.
