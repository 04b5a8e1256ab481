//! The demo's messages: ordinary ones, and those that lesser servers get wrong.

use std::borrow::Cow;

const FOR_ALICE: [&[u8]; 11] = [
    include_bytes!("../../../demo-mail/01-welcome.eml"),
    include_bytes!("../../../demo-mail/02-lunch.eml"),
    include_bytes!("../../../demo-mail/03-dots.eml"),
    include_bytes!("../../../demo-mail/04-multipart.eml"),
    include_bytes!("../../../demo-mail/05-eight-bit.eml"),
    include_bytes!("../../../demo-mail/06-calendar.eml"),
    include_bytes!("../../../demo-mail/07-list.eml"),
    include_bytes!("../../../demo-mail/08-receipt.eml"),
    include_bytes!("../../../demo-mail/09-no-body.eml"),
    include_bytes!("../../../demo-mail/10-alert.eml"),
    include_bytes!("../../../demo-mail/11-forward.eml"),
];

const FOR_BOB: [&[u8]; 1] = [include_bytes!("../../../demo-mail/06-calendar.eml")];

/// The messages of an account, in the order of their delivery.
pub(super) fn messages(local_part: &str) -> Vec<Cow<'static, [u8]>> {
    match local_part {
        "alice" => FOR_ALICE
            .into_iter()
            .map(Cow::Borrowed)
            .chain([Cow::Owned(large())])
            .collect(),
        _ => FOR_BOB.into_iter().map(Cow::Borrowed).collect(),
    }
}

/// A message of about four megabytes: a text and a drawing, as a grey-scale PGM file in base64.
fn large() -> Vec<u8> {
    const HEADER: &str = "From: Bob <bob@demo.test>\n\
        To: Alice <alice@demo.test>\n\
        Subject: The canal, in far too many pixels\n\
        Date: Fri, 06 Nov 2026 17:40:00 +0100\n\
        Message-ID: <20261106174000.1@demo.test>\n\
        MIME-Version: 1.0\n\
        Content-Type: multipart/mixed; boundary=\"=_canal\"\n\
        \n\
        --=_canal\n\
        Content-Type: text/plain; charset=us-ascii\n\
        \n\
        Sorry for the size.\n\
        \n\
        --=_canal\n\
        Content-Type: image/x-portable-graymap\n\
        Content-Disposition: attachment; filename=\"canal.pgm\"\n\
        Content-Transfer-Encoding: base64\n\
        \n";
    const SIDE: usize = 1773;
    let mut picture = format!("P5 {SIDE} {SIDE} 255\n").into_bytes();
    picture.extend((0..SIDE * SIDE).map(|at| shade(at % SIDE, at / SIDE)));
    let mut message = HEADER.as_bytes().to_vec();
    for line in picture.chunks(57) {
        message.extend_from_slice(base64_line(line).as_bytes());
        message.push(b'\n');
    }
    message.extend_from_slice(b"\n--=_canal--\n");
    message
}

/// Ripples.
fn shade(x: usize, y: usize) -> u8 {
    u8::try_from((x * x + y * y) / 64 % 256).unwrap_or(u8::MAX)
}

fn base64_line(octets: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(octets)
}
