//! CAPA (RFC 2449 section 5).

use std::time::Duration;

use restante_sasl::LoginMechanism;
use restante_wire::{Capability, Expire, response};

use crate::session::Context;
use crate::{Channel, LoginDelay, Receipts};

/// What CAPA says of an open maildrop's own account.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Own {
    pub(crate) expire: Option<Expire>,
    pub(crate) login_delay: Option<Duration>,
}

/// The same list before and after login, but for STLS, which RFC 2595 section 4 confines to AUTHORIZATION, and the
/// account's own EXPIRE and LOGIN-DELAY.
///
/// USER and SASL are left out where credentials are refused anyway (RFC 2595 section 2.2).
pub(crate) fn write<R: Receipts>(ctx: &mut Context<'_, R>, channel: Channel, own: Own) {
    let policy = ctx.policy;
    let may_log_in = channel != Channel::Clear;
    let stls = policy.stls && channel != Channel::Tls && !ctx.logged_in;
    let utf8 = policy.utf8;
    let sasl = policy.sasl_names(ctx.tls);
    let capabilities = [
        Some(Capability::Top),
        Some(Capability::Uidl),
        Some(Capability::RespCodes),
        Some(Capability::AuthRespCode),
        Some(Capability::Pipelining),
        login_delay(policy.login_delay, own.login_delay),
        own.expire.or(policy.expire).map(Capability::Expire),
        (may_log_in && policy.offers(LoginMechanism::User, ctx.tls)).then_some(Capability::User),
        (may_log_in && !sasl.is_empty()).then_some(Capability::Sasl(&sasl)),
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

/// The account's own value once it is known; before that the largest one (RFC 2449 section 6.5).
fn login_delay(announced: LoginDelay, own: Option<Duration>) -> Option<Capability<'static>> {
    let delay = own.unwrap_or(announced.at_most);
    (!delay.is_zero()).then(|| Capability::LoginDelay {
        secs: u32::try_from(delay.as_secs()).unwrap_or(u32::MAX),
        per_user: own.is_none() && announced.per_user,
    })
}
