//! CAPA (RFC 2449 section 5).

use restante_wire::{Capability, Expire, response};

use crate::session::Context;
use crate::{Channel, Receipts};

/// The same list before and after login, but for STLS, which RFC 2595 section 4 confines to AUTHORIZATION, and an
/// EXPIRE of the account's own.
///
/// USER and SASL are left out where credentials are refused anyway (RFC 2595 section 2.2).
pub(crate) fn write<R: Receipts>(ctx: &mut Context<'_, R>, channel: Channel, expire: Option<Expire>) {
    let policy = ctx.policy;
    let may_log_in = channel != Channel::Clear;
    let stls = policy.stls && channel != Channel::Tls && !ctx.logged_in;
    let utf8 = policy.utf8;
    let login_delay = u32::try_from(policy.login_delay.as_secs()).unwrap_or(u32::MAX);
    let capabilities = [
        Some(Capability::Top),
        Some(Capability::Uidl),
        Some(Capability::RespCodes),
        Some(Capability::AuthRespCode),
        Some(Capability::Pipelining),
        (login_delay > 0).then_some(Capability::LoginDelay {
            secs: login_delay,
            per_user: false,
        }),
        expire.or(policy.expire).map(Capability::Expire),
        may_log_in.then_some(Capability::User),
        (may_log_in && !policy.mechanisms.is_empty()).then_some(Capability::Sasl(&policy.mechanisms)),
        stls.then_some(Capability::Stls),
        utf8.then_some(Capability::Utf8 { user: true }),
        utf8.then_some(Capability::Lang),
        policy.implementation.as_deref().map(Capability::Implementation),
    ];
    response::ok(ctx.out, "Capability list follows");
    for capability in capabilities.into_iter().flatten() {
        response::listing_line(ctx.out, capability);
    }
    response::terminator(ctx.out);
}
