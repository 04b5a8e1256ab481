//! The embedded default: index, lock and directory in one SQLite file.
