//! Reply lines, from values into octets.
//!
//! Every function appends whole lines, CRLF included, to `out`; single lines never pass 512 octets (RFC 2449
//! section 4). Texts are the server's own: no function takes a client's octets. Start at [`ok`] and [`err`].

use std::fmt::{Display, Write as _};

use restante_types::{MessageNumber, Octets};

use crate::RespCode;
use crate::line_writer::LineWriter;

/// The line that ends a multi-line reply, RFC 1939 section 3.
const TERMINATOR: &[u8] = b".\r\n";

/// `+OK text`.
pub fn ok(out: &mut Vec<u8>, text: &str) {
    status(out, "+OK", None, text);
}

/// `-ERR [CODE] text`, or `-ERR text` if programs have nothing to learn from a code.
pub fn err(out: &mut Vec<u8>, code: Option<RespCode>, text: &str) {
    status(out, "-ERR", code, text);
}

/// `+ base64`: a SASL challenge, RFC 5034 section 4. The only line that may pass 512 octets.
pub fn continuation(out: &mut Vec<u8>, base64: &str) {
    out.extend_from_slice(b"+ ");
    out.extend(base64.bytes().filter(u8::is_ascii_graphic));
    out.extend_from_slice(b"\r\n");
}

/// `+OK count octets`: the answer to STAT.
pub fn ok_stat(out: &mut Vec<u8>, count: usize, octets: Octets) {
    LineWriter::new(out)
        .text("+OK ")
        .number(count as u64)
        .text(" ")
        .number(octets.get())
        .end();
}

/// `+OK number octets`: the answer to LIST of one message.
pub fn ok_scan(out: &mut Vec<u8>, message: MessageNumber, octets: Octets) {
    scan(LineWriter::new(out).text("+OK "), message, octets);
}

/// `+OK number unique-id`: the answer to UIDL of one message.
pub fn ok_unique_id(out: &mut Vec<u8>, message: MessageNumber, unique_id: &str) {
    identified(LineWriter::new(out).text("+OK "), message, unique_id);
}

/// `+OK n octets`: what stands before the body of RETR and TOP.
pub fn ok_body(out: &mut Vec<u8>, octets: Octets) {
    LineWriter::new(out)
        .text("+OK ")
        .number(octets.get())
        .text(" octets")
        .end();
}

/// `number octets`: one line of LIST.
pub fn scan_listing(out: &mut Vec<u8>, message: MessageNumber, octets: Octets) {
    scan(LineWriter::new(out), message, octets);
}

/// `number unique-id`: one line of UIDL.
pub fn unique_id_listing(out: &mut Vec<u8>, message: MessageNumber, unique_id: &str) {
    identified(LineWriter::new(out), message, unique_id);
}

/// One line of the listings of CAPA and LANG, dot-stuffed.
pub fn listing_line(out: &mut Vec<u8>, line: impl Display) {
    let start = out.len();
    let mut writer = LineWriter::new(out);
    // Writing into memory cannot fail; a `Display` that fails gives a shorter line.
    write!(writer, "{line}").unwrap_or_default();
    writer.end();
    if out[start] == b'.' {
        out.insert(start, b'.');
    }
}

/// `.`: ends a listing, or a body that ended with CRLF and needed no stuffing.
pub fn terminator(out: &mut Vec<u8>) {
    out.extend_from_slice(TERMINATOR);
}

fn status(out: &mut Vec<u8>, indicator: &str, code: Option<RespCode>, text: &str) {
    let mut line = LineWriter::new(out).text(indicator);
    if let Some(code) = code {
        line = line.text(" [").text(code.as_str()).text("]");
    }
    if !text.is_empty() {
        line = line.text(" ").text(text);
    }
    line.end();
}

fn scan(line: LineWriter<'_>, message: MessageNumber, octets: Octets) {
    line.number(message.get().into())
        .text(" ")
        .number(octets.get())
        .end();
}

fn identified(line: LineWriter<'_>, message: MessageNumber, unique_id: &str) {
    line.number(message.get().into()).text(" ").text(unique_id).end();
}
