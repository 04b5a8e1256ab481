//! The fuzz target's oracle without a fuzzer: its seeds, and random scripts.

use proptest::prelude::*;

use crate::oracle;

#[test]
fn the_fuzz_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/session");
    let mut n_scripts = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        oracle::session(&std::fs::read(entry.unwrap().path()).unwrap());
        n_scripts += 1;
    }
    assert!(n_scripts > 0, "there are seeds");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_script_holds(script in prop::collection::vec(any::<u8>(), 0..200)) {
        oracle::session(&script);
    }
}
