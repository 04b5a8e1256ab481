//! AUTH (RFC 5034).

use restante_sasl::{Exchange, Turn};
use restante_types::Secret;
use restante_wire::response;

use crate::Receipts;
use crate::session::Context;

/// `AUTH` alone lists the mechanisms, a line each: from before RFC 2449, and Outlook still asks so.
pub(crate) fn list<R: Receipts>(ctx: &mut Context<'_, R>) {
    response::ok(ctx.out, "Mechanisms follow");
    for mechanism in &ctx.policy.mechanisms {
        response::listing_line(ctx.out, mechanism);
    }
    response::terminator(ctx.out);
}

/// Begins an exchange; `None` if that mechanism is not offered here.
pub(crate) fn begin<R: Receipts>(
    mechanism: &str,
    initial: Option<&Secret<Vec<u8>>>,
    ctx: &Context<'_, R>,
) -> Option<Turn> {
    let offered = ctx
        .policy
        .mechanisms
        .iter()
        .find(|offered| **offered == mechanism)?;
    Exchange::begin(offered, initial.map(|line| line.expose().as_slice()))
}
