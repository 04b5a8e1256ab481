use restante_message::BodyCheck;

use super::*;

fn settings(directory: &tempfile::TempDir, max_octets: u64) -> SpoolSettings {
    SpoolSettings {
        directory: directory.path().into(),
        max_octets: Octets(max_octets),
    }
}

async fn read(message: &Spooled) -> Vec<u8> {
    let mut reader = message.reader();
    let mut whole = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        assert!(!piece.is_empty());
        whole.extend_from_slice(&piece);
    }
    whole
}

#[tokio::test]
async fn a_message_is_canonical_and_measured_whatever_the_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let octets = b"Subject: x\n\n.dot\rlone\r\r\nlast";
    let mut whole = Vec::new();
    let measured = {
        let mut canonicalizer = Canonicalizer::new();
        canonicalizer.push(octets, &mut whole);
        canonicalizer.finish(&mut whole)
    };
    for piece in 1..=octets.len() {
        let mut spool = Spool::new(settings(&directory, 1000));
        for piece in octets.chunks(piece) {
            spool.write(piece).await;
        }
        let message = spool.finish().await.unwrap();
        assert_eq!(message.measured(), &measured, "pieces of {piece}");
        assert_eq!(read(&message).await, whole, "pieces of {piece}");
    }
}

#[tokio::test]
async fn a_long_message_is_read_again_and_again_from_a_file_without_a_name() {
    let directory = tempfile::tempdir().unwrap();
    let line: Vec<u8> = (0..=255u8)
        .filter(|octet| !b"\r\n".contains(octet))
        .chain(*b"\r\n")
        .collect();
    let octets = line.repeat(5000);
    let mut spool = Spool::new(settings(&directory, u64::MAX));
    for piece in octets.chunks(70_001) {
        spool.write(piece).await;
    }
    let message = spool.finish().await.unwrap();
    assert!(matches!(message.place, Place::File(_)));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let (first, second) = tokio::join!(read(&message), read(&message));
    assert!(first == octets && second == octets);
    let mut check = BodyCheck::new();
    check.update(&octets);
    assert_eq!(message.measured().crc64, check.crc64());
}

#[tokio::test]
async fn memory_stays_flat_however_long_the_message_and_its_pieces() {
    let directory = tempfile::tempdir().unwrap();
    // Line ends that double, the worst case.
    let piece = vec![b'\n'; 1 << 20];
    let mut spool = Spool::new(settings(&directory, u64::MAX));
    for _ in 0..4 {
        spool.write(&piece).await;
        assert!(spool.kept.memory.len() < MEMORY);
        assert!(
            spool.kept.memory.capacity() <= 2 * MEMORY,
            "{}",
            spool.kept.memory.capacity()
        );
    }
    assert_eq!(spool.finish().await.unwrap().measured().octets, Octets(8 << 20));
}

#[tokio::test]
async fn one_octet_past_the_limit_is_too_large() {
    let directory = tempfile::tempdir().unwrap();
    for limit in [1000_u64, 1 << 20] {
        let mut octets = vec![b'x'; usize::try_from(limit).unwrap() - 2];
        octets.extend_from_slice(b"\r\n");
        let mut spool = Spool::new(settings(&directory, limit));
        spool.write(&octets).await;
        assert_eq!(spool.finish().await.unwrap().measured().octets, Octets(limit));

        octets.insert(0, b'x');
        let mut spool = Spool::new(settings(&directory, limit));
        spool.write(&octets).await;
        assert!(matches!(spool.finish().await, Err(SpoolError::TooLarge)));
    }
}

#[tokio::test]
async fn the_line_end_that_is_added_counts() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::new(settings(&directory, 1000));
    spool.write(&[b'x'; 999]).await;
    assert!(matches!(spool.finish().await, Err(SpoolError::TooLarge)));
}

#[tokio::test]
async fn after_the_limit_octets_are_counted_and_nothing_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::new(settings(&directory, 1 << 20));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..8 {
        spool.write(&piece).await;
    }
    assert!(spool.kept.file.is_none() && spool.kept.memory.capacity() == 0);
    assert!(
        spool.discarded() >= Octets(6 << 20) && spool.discarded() < Octets(7 << 20),
        "{}",
        spool.discarded()
    );
    assert!(matches!(spool.finish().await, Err(SpoolError::TooLarge)));
}

#[tokio::test]
async fn a_directory_that_is_gone_is_told_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let settings = SpoolSettings {
        directory: directory.path().join("gone"),
        max_octets: Octets(u64::MAX),
    };
    let mut spool = Spool::new(settings);
    spool.write(&vec![b'x'; 1 << 20]).await;
    match spool.finish().await {
        Err(SpoolError::Store(error)) => assert_eq!(error.kind, StoreErrorKind::Unavailable),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_is_full() {
    for (error, kind) in [
        (io::ErrorKind::StorageFull, StoreErrorKind::Full),
        (io::ErrorKind::QuotaExceeded, StoreErrorKind::Full),
        (io::ErrorKind::PermissionDenied, StoreErrorKind::Unavailable),
    ] {
        assert_eq!(kind_of(&error.into()), kind);
    }
}

#[tokio::test]
async fn an_empty_message_is_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let message = Spool::new(settings(&directory, 0)).finish().await.unwrap();
    assert_eq!(message.measured().octets, Octets::ZERO);
    assert_eq!(read(&message).await, b"");
}
