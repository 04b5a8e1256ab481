//! The trace of a message: whether the sender's queue has marked it as one of its own (RFC 5321 section 4.4).
//!
//! Two messages that people sent are never alike with such a mark; one that comes twice with it is the same entry of
//! the same queue. Start at [`has_queue_id`].

use restante_store::{BlobReader as _, Spooled};

/// How far into the header the newest `Received` field is looked for.
const LOOKED_AT: usize = 64 * 1024;

/// Whether the newest `Received` field of the message has an `id`.
pub(crate) async fn has_queue_id(message: &Spooled) -> bool {
    let header_octets = usize::try_from(message.measured().header_octets.get()).unwrap_or(usize::MAX);
    let wanted = header_octets.min(LOOKED_AT);
    let mut header = Vec::new();
    let mut reader = message.reader();
    while header.len() < wanted {
        match reader.next().await {
            Ok(Some(piece)) => header.extend_from_slice(&piece),
            // A spool that cannot be read fails the delivery itself.
            Ok(None) | Err(_) => break,
        }
    }
    header.truncate(wanted);
    newest_received(&header).is_some_and(|field| has_id(&field))
}

/// The value of the first `Received` field, unfolded.
fn newest_received(header: &[u8]) -> Option<Vec<u8>> {
    let mut lines = header.split_inclusive(|octet| *octet == b'\n');
    let first = lines.find_map(|line| {
        let colon = line.iter().position(|octet| *octet == b':')?;
        let name = line[..colon].trim_ascii_end();
        name.eq_ignore_ascii_case(b"Received").then(|| &line[colon + 1..])
    })?;
    let folded = lines.take_while(|line| line.starts_with(b" ") || line.starts_with(b"\t"));
    Some([first].into_iter().chain(folded).flatten().copied().collect())
}

/// Whether the clauses before the date have an `id` with a value. Comments are no clauses.
fn has_id(field: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut escaped = false;
    let clauses: Vec<u8> = field
        .iter()
        .map(|octet| {
            let (was_escaped, was_inside) = (escaped, depth > 0);
            escaped = false;
            match octet {
                _ if was_escaped => {}
                b'\\' => escaped = was_inside,
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if was_inside || depth > 0 { b' ' } else { *octet }
        })
        .take_while(|octet| *octet != b';')
        .collect();
    let mut words = clauses
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    words.any(|word| word.eq_ignore_ascii_case(b"id")) && words.next().is_some()
}

#[cfg(test)]
mod tests {
    use restante_store::{Spool, SpoolSettings};
    use restante_types::Octets;

    use super::*;

    async fn marked(header: &str) -> bool {
        let mut spool = Spool::new(SpoolSettings {
            directory: std::env::temp_dir(),
            max_octets: Octets(1 << 20),
        });
        spool.write(header.as_bytes()).await;
        has_queue_id(&spool.finish().await.unwrap()).await
    }

    #[tokio::test]
    async fn a_message_from_a_queue_is_known_by_its_newest_received_field() {
        for (header, is_marked) in [
            (
                "Received: from a.example (a.example [192.0.2.1])\r\n\tby b.example (Postfix) with ESMTPS id 4F2\r\n\t\
                 for <ann@b.example>; Mon, 1 Jan 2024 00:00:00 +0000 (UTC)\r\n\r\n",
                true,
            ),
            (
                "Received: by b (Postfix, from userid 1000)\r\n id 4F2; Mon, 1 Jan\r\n\r\n",
                true,
            ),
            (
                "Return-Path: <>\r\nX-Spam: no id 1\r\nreceived : from a with esmtp (Exim 4.96)\r\n\
                 \t(envelope-from <x@a>) ID 1abc-2 for y; x\r\n\r\n",
                true,
            ),
            ("Received: from a by b id 1\r\n\r\n", true),
            ("Subject: id 5\r\n\r\nReceived: by b id 1; x\r\n", false),
            (
                "Received: by b with SMTP; Mon id 5\r\nReceived: by c id 1; x\r\n\r\n",
                false,
            ),
            (
                "Received: by b (with (nested) id 5 \\) id 6) with SMTP; x\r\n\r\n",
                false,
            ),
            ("Received: by b id; x\r\n\r\n", false),
            ("Received: by b id (5); x\r\n\r\n", false),
            ("Received-By: b id 1; x\r\n\r\n", false),
            ("Received: by b\r\nSubject: x\r\n id 5\r\n\r\n", false),
            ("Received:\r\n\r\n", false),
            ("Received", false),
            ("", false),
        ] {
            assert_eq!(marked(header).await, is_marked, "{header:?}");
        }
    }

    #[tokio::test]
    async fn a_long_header_is_read_to_its_limit_alone() {
        let far = "X: y\r\n".repeat(LOOKED_AT / 6 + 1);
        assert!(!marked(&format!("{far}Received: by b id 1; x\r\n\r\n")).await);
        assert!(marked(&format!("Received: by b id 1; x\r\n{far}\r\n")).await);
    }
}
