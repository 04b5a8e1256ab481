//! AUTH (RFC 5034).

use restante_sasl::{ChannelBinding, Exchange, LoginMechanism, Turn};
use restante_types::Secret;
use restante_wire::response;

use crate::Receipts;
use crate::session::Context;

/// `AUTH` alone lists the mechanisms, a line each: from before RFC 2449, and Outlook still asks so.
pub(crate) fn list<R: Receipts>(ctx: &mut Context<'_, R>) {
    response::ok(ctx.out, "Mechanisms follow");
    for mechanism in ctx.policy.sasl_names(ctx.tls) {
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
    let mechanism = LoginMechanism::from_name(mechanism)
        .filter(|mechanism| mechanism.is_sasl() && ctx.policy.offers(*mechanism, ctx.tls))?;
    let initial = initial.map(|line| line.expose().as_slice());
    // A client that could bind and says that we cannot is told of the downgrade only where we did offer it.
    let plus = ctx.policy.offers(LoginMechanism::ScramSha256Plus, ctx.tls);
    let unbound = ChannelBinding::none();
    let binding = if plus { &ctx.tls.binding } else { &unbound };
    Some(Exchange::begin(mechanism, initial, binding))
}
