//! Replays the fuzz corpora.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails the test")]

mod oracles;

use std::path::Path;

fn replay(target: &str, oracle: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        oracle(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "the corpus of {target} is empty");
}

#[test]
fn framing_corpus_holds() {
    replay("framing", oracles::framing);
}

#[test]
fn command_corpus_holds() {
    replay("command", oracles::command);
}

#[test]
fn stuffing_corpus_holds() {
    replay("stuffing", oracles::stuffing);
}
