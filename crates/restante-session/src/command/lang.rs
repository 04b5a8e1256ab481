//! LANG (RFC 6856 section 3). Texts exist in English.

use restante_wire::response;

use crate::session::Context;
use crate::{Receipts, Refusal};

pub(crate) fn handle<R: Receipts>(range: Option<&str>, ctx: &mut Context<'_, R>) {
    let out = &mut *ctx.out;
    match range {
        None => {
            response::ok(out, "Language listing follows");
            response::listing_line(out, "en English");
            response::terminator(out);
        }
        Some(range) if range == "*" || range.eq_ignore_ascii_case("en") => {
            response::ok(out, "en Language is English");
        }
        Some(_) => ctx.refuse(Refusal::UnknownLanguage),
    }
}
