//! LANG (RFC 6856 section 3). Texts exist in English.

use restante_wire::response;

use crate::Refusal;

pub(crate) fn handle(range: Option<&str>, out: &mut Vec<u8>) {
    match range {
        None => {
            response::ok(out, "Language listing follows");
            response::listing_line(out, "en English");
            response::terminator(out);
        }
        Some(range) if range == "*" || range.eq_ignore_ascii_case("en") => {
            response::ok(out, "en Language is English");
        }
        Some(_) => Refusal::UnknownLanguage.write(out),
    }
}
