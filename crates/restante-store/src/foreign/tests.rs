use std::fmt;

use bytes::Bytes;
use restante_types::TenantId;

use super::*;
use crate::BytesReader;

const MAIL: &[u8] = b"Subject: a\r\n\r\nbody\r\n";

/// Says what it is told to.
#[derive(Debug, Default)]
struct Liar {
    entries: Vec<ForeignEntry>,
    body: Bytes,
    asked: std::sync::Mutex<Vec<Option<Octets>>>,
}

impl Display for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("liar")
    }
}

#[async_trait]
impl ForeignMaildrops for Liar {
    async fn list(&self, _: &Owner) -> Result<Vec<ForeignEntry>, StoreError> {
        Ok(self.entries.clone())
    }

    async fn open(
        &self,
        _: &Owner,
        _: &str,
        octets: Option<Octets>,
    ) -> Result<Box<dyn BlobReader>, StoreError> {
        self.asked.lock().unwrap().push(octets);
        let end = octets.map_or(self.body.len(), |octets| {
            usize::try_from(octets.get()).unwrap().min(self.body.len())
        });
        Ok(Box::new(BytesReader::in_pieces(self.body.slice(..end), 1_000)))
    }

    async fn remove(&self, _: &Owner, _: &Fence, _: SessionId, _: &[&str]) -> Result<(), StoreError> {
        Err(foreign(StoreErrorKind::Unsupported, "commit"))
    }

    async fn append(&self, _: &Owner, _: Octets, _: &mut dyn BlobReader) -> Result<UniqueId, StoreError> {
        Err(foreign(StoreErrorKind::Unsupported, "deliver"))
    }
}

fn entry(id: &str, unique_id: &str, octets: usize) -> ForeignEntry {
    ForeignEntry {
        id: id.to_owned(),
        unique_id: UniqueId::new(unique_id).unwrap(),
        octets: Octets(octets as u64),
    }
}

async fn open(liar: &Arc<Liar>) -> Result<(ForeignMaildrop, Snapshot), StoreErrorKind> {
    let owner = Owner {
        maildrop: MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap(),
        name: "alice@example.org".to_owned(),
    };
    let system = Arc::clone(liar) as Arc<dyn ForeignMaildrops>;
    let opened = ForeignMaildrop::open(system, owner, usize::MAX).await;
    opened.map_err(|error| error.kind)
}

fn first() -> MessageNumber {
    MessageNumber::new(1).unwrap()
}

/// Fetches a message that is listed with `octets` and comes as `body`.
async fn fetched(octets: usize, body: &[u8]) -> Result<Vec<u8>, StoreErrorKind> {
    let liar = Arc::new(Liar {
        entries: vec![entry("a", "u", octets)],
        body: Bytes::copy_from_slice(body),
        ..Liar::default()
    });
    let (maildrop, _) = open(&liar).await.unwrap();
    let fetched = maildrop.fetch(first(), &std::env::temp_dir()).await;
    let message = fetched.map_err(|error| error.kind)?;
    let mut reader = message.reader();
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

#[tokio::test]
async fn p02_a_message_of_another_size_than_listed_is_damaged() {
    assert_eq!(fetched(MAIL.len(), MAIL).await.unwrap(), MAIL);
    for octets in [0, MAIL.len() - 1, MAIL.len() + 1, usize::MAX >> 1] {
        assert_eq!(
            fetched(octets, MAIL).await,
            Err(StoreErrorKind::Damaged),
            "{octets}"
        );
    }
}

#[tokio::test]
async fn p03_a_body_without_end_is_given_up_at_its_size() {
    let endless = b"line\r\n".repeat(1_000_000);
    assert_eq!(fetched(1_024, &endless).await, Err(StoreErrorKind::Damaged));
}

#[tokio::test]
async fn a_message_that_would_fill_the_disk_is_not_asked_for() {
    let liar = Arc::new(Liar {
        entries: vec![entry("a", "u", 1 << 40)],
        ..Liar::default()
    });
    let (maildrop, _) = open(&liar).await.unwrap();
    let error = maildrop.fetch(first(), &std::env::temp_dir()).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged);
    assert!(liar.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_line_that_does_not_end_with_crlf_is_damaged() {
    for body in [&b"a\nb\r\n"[..], b"a\r\nb", b"a\rb\r\n", b"\n\n\n\n"] {
        assert_eq!(
            fetched(body.len(), body).await,
            Err(StoreErrorKind::Damaged),
            "{body:?}"
        );
    }
    assert_eq!(fetched(0, b"").await.unwrap(), b"");
}

#[tokio::test]
async fn two_messages_of_one_name_are_damaged() {
    for (entries, expected) in [
        ([entry("a", "u", 1), entry("b", "v", 1)], Ok(2)),
        (
            [entry("a", "u", 1), entry("a", "v", 1)],
            Err(StoreErrorKind::Damaged),
        ),
        (
            [entry("a", "u", 1), entry("b", "u", 1)],
            Err(StoreErrorKind::Damaged),
        ),
    ] {
        let liar = Arc::new(Liar {
            entries: entries.to_vec(),
            ..Liar::default()
        });
        let opened = open(&liar).await.map(|(_, snapshot)| snapshot.len());
        assert_eq!(opened, expected);
    }
}

#[tokio::test]
async fn the_top_of_a_large_message_is_not_read_to_its_end() {
    let body = [b"Subject: a\r\n\r\n".to_vec(), b"line\r\n".repeat(1_000_000)].concat();
    for (lines, is_whole) in [(0, false), (10, false), (900_000, true)] {
        let liar = Arc::new(Liar {
            entries: vec![entry("a", "u", body.len())],
            body: Bytes::from(body.clone()),
            ..Liar::default()
        });
        let (maildrop, _) = open(&liar).await.unwrap();
        let top = maildrop
            .fetch_top(first(), lines, &std::env::temp_dir())
            .await
            .unwrap();
        let mut top = crate::Body::of_spooled(&top, Some(lines));
        let mut octets = 0;
        while let Some(piece) = top.next().await.unwrap() {
            octets += piece.len() as u64;
        }
        top.finish().unwrap();
        assert_eq!(octets, 14 + lines * 6);
        let asked = liar.asked.lock().unwrap();
        assert_eq!(asked.first(), Some(&Some(TOP)));
        assert_eq!(asked.len() == 2, is_whole, "{lines}");
    }
}

#[tokio::test]
async fn only_the_newest_are_shown_and_only_they_are_numbered() {
    let liar = Arc::new(Liar {
        entries: (0..5)
            .map(|n| entry(&format!("{n}"), &format!("u{n}"), 1))
            .collect(),
        ..Liar::default()
    });
    let owner = Owner {
        maildrop: MaildropId::new(TenantId::new(1).unwrap(), 1).unwrap(),
        name: String::new(),
    };
    let (maildrop, snapshot) = ForeignMaildrop::open(liar, owner, 2).await.unwrap();
    let unique_ids: Vec<&str> = snapshot.iter().map(|entry| entry.unique_id).collect();
    assert_eq!(unique_ids, ["u3", "u4"]);
    assert_eq!(maildrop.entry(first()).unwrap().id, "3");
}
