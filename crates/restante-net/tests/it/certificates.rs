//! Loading and reloading certificates.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_net::{
    CertificateError, CertificateFiles, CertificateNotice, CertificateStore, HeldPair, TlsSetupError,
    TlsStack, pairs_in,
};
use restante_types::Secret;
use rustls_pki_types::CertificateDer;
use tokio::io::duplex;

use crate::support::{Shelf, beside, chmod, client, connect, now, on_file, pop3_settings, shown};

fn open(files: &[CertificateFiles]) -> (Arc<CertificateStore>, TlsStack) {
    let (store, _) = CertificateStore::open(files, now()).unwrap();
    let stack = TlsStack::new(&pop3_settings(), Arc::clone(&store)).unwrap();
    (store, stack)
}

async fn served(stack: &TlsStack, name: &str) -> CertificateDer<'static> {
    let (ours, theirs) = duplex(64 * 1024);
    let stack = stack.clone();
    let server = beside(async move { stack.accept(ours).await.map(|_| ()) });
    let client = connect(&client(&[]), name, theirs).await.unwrap();
    server.await.unwrap().unwrap();
    shown(&client)
}

type Damage<'a> = &'a dyn Fn(&CertificateFiles);

/// Keeps the first `share` hundredths of a file, as a copy does that is still under way.
fn cut(file: &Path, share: usize) {
    let text = std::fs::read(file).unwrap();
    std::fs::write(file, &text[..text.len() * share / 100]).unwrap();
}

#[tokio::test]
async fn reload_serves_the_new_certificate_on_a_running_stack() {
    let shelf = Shelf::new();
    let files = [shelf.put("pop", &["pop.example.org"])];
    let (store, stack) = open(&files);
    let old = on_file(&files[0]);
    assert_eq!(served(&stack, "pop.example.org").await, old);
    shelf.put("pop", &["pop.example.org", "new.example.org"]);
    let report = store.reload(&files, now());
    assert!(
        report.errors.is_empty() && report.notices.is_empty(),
        "{report:?}"
    );
    assert_eq!(
        report.certificates[0].names,
        ["pop.example.org", "new.example.org"]
    );
    assert_ne!(served(&stack, "pop.example.org").await, old);
}

#[tokio::test]
async fn broken_pair_keeps_its_older_version_while_others_change() {
    let shelf = Shelf::new();
    let breakages: [(&str, Damage<'_>); 6] = [
        ("half a certificate", &|files| cut(&files.certificate, 50)),
        ("half a key", &|files| cut(&files.key, 50)),
        ("empty certificate", &|files| cut(&files.certificate, 0)),
        ("empty key", &|files| cut(&files.key, 0)),
        ("no certificate", &|files| {
            std::fs::remove_file(&files.certificate).unwrap();
        }),
        ("key of another", &|files| {
            std::fs::copy(shelf.put("stranger", &["stranger.test"]).key, &files.key).unwrap();
        }),
    ];
    for (name, damage) in breakages {
        let files = [shelf.put("a", &["pop.a.test"]), shelf.put("b", &["pop.b.test"])];
        let (store, stack) = open(&files);
        let old = on_file(&files[0]);
        damage(&files[0]);
        shelf.put("b", &["pop.b.test"]);
        let report = store.reload(&files, now());
        assert_eq!(report.errors.len(), 1, "{name}");
        assert_eq!(report.certificates.len(), 2, "{name}");
        let text = report.errors[0].to_string();
        assert!(
            text.contains(&shelf.path("a").display().to_string()),
            "{name}: {text}"
        );
        assert!(
            text.contains("reload") || text.contains("check the path"),
            "{name}: {text}"
        );
        assert_eq!(served(&stack, "pop.a.test").await, old, "{name}");
        assert_eq!(served(&stack, "pop.b.test").await, on_file(&files[1]), "{name}");
    }
}

#[tokio::test]
async fn mismatch_names_both_files() {
    let shelf = Shelf::new();
    let mut files = shelf.put("a", &["pop.a.test"]);
    files.key = shelf.put("b", &["pop.b.test"]).key;
    let TlsSetupError::Certificates(errors) = CertificateStore::open(&[files], now()).unwrap_err() else {
        panic!("another error")
    };
    assert!(matches!(errors[..], [CertificateError::Mismatch { .. }]));
    let text = errors[0].to_string();
    assert!(text.contains("a.crt") && text.contains("b.key"), "{text}");
}

#[tokio::test]
async fn reload_without_any_usable_pair_changes_nothing() {
    let shelf = Shelf::new();
    let files = [shelf.put("pop", &["pop.example.org"])];
    let (store, stack) = open(&files);
    let before = store.status();
    let report = store.reload(&[], now());
    assert_eq!(report.certificates, before);
    let report = store.reload(&[shelf.pair("absent")], now());
    assert_eq!((report.errors.len(), report.certificates), (1, before));
    assert_eq!(served(&stack, "pop.example.org").await, on_file(&files[0]));
}

#[tokio::test]
async fn expired_certificate_is_served_and_reported() {
    let shelf = Shelf::new();
    let files = [shelf.put_with_end("old", &["pop.example.org"], 2002)];
    let (store, report) = CertificateStore::open(&files, now()).unwrap();
    assert_eq!(
        report.notices,
        [CertificateNotice::Expired {
            certificate: files[0].certificate.clone()
        }]
    );
    let days_to_2002 = 11_688;
    let end = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * days_to_2002);
    assert_eq!(report.certificates[0].not_after, end);
    let stack = TlsStack::new(&pop3_settings(), store).unwrap();
    assert_eq!(served(&stack, "pop.example.org").await, on_file(&files[0]));
}

#[test]
fn certificate_before_its_time_is_reported() {
    let shelf = Shelf::new();
    let files = [shelf.put("early", &["pop.example.org"])];
    let (_, report) = CertificateStore::open(&files, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(
        report.notices,
        [CertificateNotice::NotYetValid {
            certificate: files[0].certificate.clone()
        }]
    );
}

#[test]
fn key_that_every_user_may_read_is_reported() {
    let shelf = Shelf::new();
    let files = [shelf.put("pop", &["pop.example.org"])];
    chmod(&files[0].key, 0o644);
    let (_, report) = CertificateStore::open(&files, now()).unwrap();
    assert_eq!(
        report.notices,
        [CertificateNotice::KeyReadableByOthers {
            key: files[0].key.clone()
        }]
    );
    assert!(report.notices[0].to_string().contains("chmod 0600"));
}

#[test]
fn name_that_two_certificates_claim_stays_with_the_first() {
    let shelf = Shelf::new();
    let files = [
        shelf.put("a", &["pop.example.org"]),
        shelf.put("b", &["POP.example.org"]),
    ];
    let (_, report) = CertificateStore::open(&files, now()).unwrap();
    let taken = CertificateNotice::NameTaken {
        name: "pop.example.org".to_owned(),
        certificate: files[1].certificate.clone(),
    };
    assert_eq!(report.notices, [taken]);
}

#[test]
fn certificate_without_a_name_needs_one_from_the_configuration() {
    let shelf = Shelf::new();
    let mut files = shelf.put("nameless", &[]);
    let error = CertificateStore::open(std::slice::from_ref(&files), now()).unwrap_err();
    assert!(error.to_string().contains("list `names`"), "{error}");
    files.names = vec!["pop.example.org".to_owned()];
    assert!(CertificateStore::open(&[files], now()).is_ok());
}

#[test]
fn start_without_certificates_is_refused() {
    assert!(matches!(
        CertificateStore::open(&[], now()),
        Err(TlsSetupError::NoCertificate)
    ));
}

fn held(label: &str, files: &CertificateFiles) -> HeldPair {
    HeldPair {
        label: label.to_owned(),
        names: Vec::new(),
        chain: std::fs::read(&files.certificate).unwrap(),
        key: Secret::new(std::fs::read(&files.key).unwrap()),
    }
}

#[tokio::test]
async fn held_pairs_are_served_by_name_and_the_later_one_wins() {
    let shelf = Shelf::new();
    let files = [shelf.put("pop", &["pop.example.org"])];
    let (store, stack) = open(&files);
    let old = shelf.put("old", &["pop.acme.test", "only.acme.test"]);
    let new = shelf.put("new", &["pop.acme.test"]);
    let report = store.hold(&[held("certificate 1", &old), held("certificate 2", &new)], now());
    assert!(
        report.errors.is_empty() && report.notices.is_empty(),
        "{report:?}"
    );
    assert_eq!(served(&stack, "pop.acme.test").await, on_file(&new));
    assert_eq!(served(&stack, "only.acme.test").await, on_file(&old));
    assert_eq!(served(&stack, "pop.example.org").await, on_file(&files[0]));
    assert_eq!(served(&stack, "elsewhere.test").await, on_file(&files[0]));
    store.hold(&[], now());
    assert_eq!(served(&stack, "pop.acme.test").await, on_file(&files[0]));
}

#[tokio::test]
async fn a_broken_held_pair_leaves_the_earlier_one_in_force() {
    let shelf = Shelf::new();
    let (store, stack) = open(&[shelf.put("pop", &["pop.example.org"])]);
    let (old, new) = (
        shelf.put("old", &["pop.acme.test"]),
        shelf.put("new", &["pop.acme.test"]),
    );
    let mut broken = held("certificate 2", &new);
    broken.key = held("", &old).key;
    let report = store.hold(&[held("certificate 1", &old), broken], now());
    assert!(
        report.errors[0].to_string().contains("certificate 2"),
        "{report:?}"
    );
    assert_eq!(served(&stack, "pop.acme.test").await, on_file(&old));
}

#[test]
fn a_held_pair_is_inspected_before_it_is_kept() {
    let shelf = Shelf::new();
    let files = shelf.put("a", &["pop.acme.test"]);
    let good = held("a.crt", &files);
    assert_eq!(good.inspect().unwrap().names, ["pop.acme.test"]);
    let mut wrong = held("a.crt", &files);
    wrong.key = held("", &shelf.put("b", &["pop.b.test"])).key;
    assert!(matches!(wrong.inspect(), Err(CertificateError::Mismatch { .. })));
}

#[test]
fn pairs_of_a_folder_are_found_by_their_names() {
    let shelf = Shelf::new();
    shelf.put("a", &["pop.a.test"]);
    let live = shelf.dir.path().join("b.test");
    std::fs::create_dir(&live).unwrap();
    std::fs::copy(
        shelf.put("b", &["pop.b.test"]).certificate,
        live.join("fullchain.pem"),
    )
    .unwrap();
    std::fs::write(shelf.dir.path().join("README"), "no certificate").unwrap();
    let found = pairs_in(shelf.dir.path()).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|pair| pair.certificate.strip_prefix(shelf.dir.path()).unwrap())
        .collect();
    assert_eq!(names, ["a.crt", "b.crt", "b.test/fullchain.pem"].map(Path::new));
    assert_eq!(found[2].key, live.join("privkey.pem"));
    assert!(pairs_in(&shelf.dir.path().join("absent")).is_err());
}
