use restante_types::TenantId;

use super::*;

fn session() -> Session {
    let limits = SessionLimits {
        line_octets: 64,
        recipients: 3,
        errors: 16,
        message_octets: Octets(1000),
    };
    Session::new("mx.example".into(), limits)
}

/// The octets, and to how many they were delivered; `None` if they were forgotten.
type Message = (Vec<u8>, Option<usize>);

/// Runs the session over `input` in pieces; every name is known unless it starts with `n`. Answers what
/// was said, and the messages.
fn run(input: &[u8], piece: usize) -> (Vec<u8>, Vec<Message>) {
    let mut session = session();
    let (mut waiting, mut out, mut body) = (BytesMut::new(), Vec::new(), Vec::new());
    let (mut message, mut messages) = (Vec::new(), Vec::new());
    let recipient = Recipient {
        account: AccountId::new(TenantId::new(1).unwrap(), 1).unwrap(),
        name: "".into(),
        storage: StorageId(1),
    };
    for piece in input.chunks(piece) {
        waiting.extend_from_slice(piece);
        loop {
            match session.next(&mut waiting, &mut out, &mut body) {
                Step::NeedInput => break,
                Step::LookUp(name) if name.local_part().starts_with('n') => {
                    session.recipient(Err(Reply::NoSuchUser), &mut out);
                }
                Step::LookUp(_) => session.recipient(Ok(recipient.clone()), &mut out),
                Step::Body => {
                    assert!(!body.is_empty());
                    message.append(&mut body);
                }
                Step::Forget => messages.push((std::mem::take(&mut message), None)),
                Step::Deliver => {
                    let n = session.transaction().unwrap().recipients.len();
                    assert!(n > 0);
                    (0..n).for_each(|_| session.delivered(Reply::Delivered, &mut out));
                    messages.push((std::mem::take(&mut message), Some(n)));
                }
                Step::Close(_) => return (out, messages),
            }
            assert!(body.is_empty());
        }
        assert!(waiting.len() < 64, "only an unfinished line waits");
    }
    (out, messages)
}

#[test]
fn the_session_is_the_same_however_its_octets_are_cut() {
    const FRAGMENTS: &[&[u8]] = &[
        b"LHLO c.example\r\n",
        b"MAIL FROM:<a@s.example>\r\nRCPT TO:<a@a.example>\r\n",
        b"RSET\r\nMAIL FROM:<a@s.example>\r\nRCPT TO:<a@a.example>\r\n",
        b"MAIL FROM:<> SMTPUTF8\r\n",
        b"RCPT TO:<a@a.example>\r\n",
        b"RCPT TO:<n@a.example>\r\n",
        b"RCPT TO:<a@a.example>\r\n",
        b"DATA\r\n",
        b"BDAT 5\r\n",
        b"BDAT 7 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"text\r\n.\r\n",
        b"..\r\n.\n\r.\r\n",
        b".\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"XYZZY and a line that is longer than any line may be in this session\r\n",
    ];
    let mut chance = 0x9E37_79B9_7F4A_7C15_u64;
    let mut n_delivered = 0;
    for _ in 0..2000 {
        let mut input = b"LHLO c.example\r\n".to_vec();
        for _ in 0..24 {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            input.extend_from_slice(FRAGMENTS[usize::try_from(chance >> 32).unwrap() % FRAGMENTS.len()]);
        }
        let whole = run(&input, input.len());
        assert_eq!(whole, run(&input, 1), "{:?}", String::from_utf8_lossy(&input));
        assert_eq!(whole, run(&input, 5), "{:?}", String::from_utf8_lossy(&input));
        n_delivered += whole
            .1
            .iter()
            .filter(|(_, recipients)| recipients.is_some())
            .count();
    }
    assert!(
        n_delivered > 500,
        "{n_delivered} messages are too few to say anything"
    );
}

#[test]
fn octets_without_sense_never_deliver() {
    let mut chance = 0xD1B5_4A32_D192_ED03_u64;
    for _ in 0..200 {
        let octets: Vec<u8> = (0..4096)
            .map(|_| {
                chance ^= chance << 13;
                chance ^= chance >> 7;
                chance ^= chance << 17;
                chance.to_le_bytes()[3]
            })
            .collect();
        let (_, messages) = run(&octets, 97);
        assert!(messages.is_empty());
    }
}
