//! Replays the fuzz corpus.

mod oracles;

use std::path::Path;

#[test]
fn canonical_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/canonical");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        oracles::canonical(&std::fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "the corpus is empty");
}
