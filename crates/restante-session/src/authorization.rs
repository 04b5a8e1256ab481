//! AUTHORIZATION state (RFC 1939 section 4). Credentials exist only on [`Secure`]: a client on a clear connection
//! has no state that could hold one.

use restante_sasl::{Exchange, SaslError, Turn};
use restante_wire::{Command, LineKind};

use crate::command::{auth, capa, lang};
use crate::leaving::Farewell;
use crate::session::{Context, State};
use crate::{Channel, Receipts, Refusal, Request};

/// A connection that is neither TLS nor declared trusted.
#[derive(Debug)]
pub(crate) struct Clear;

/// A connection that may carry credentials.
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) tls: bool,
    /// What USER said, until PASS.
    pub(crate) name: Option<Vec<u8>>,
    /// The SASL exchange whose next line is awaited.
    pub(crate) exchange: Option<Exchange>,
}

/// The state before a maildrop is open.
#[derive(Debug)]
pub(crate) struct Authorization<C> {
    pub(crate) channel: C,
    pub(crate) utf8: bool,
}

impl Authorization<Clear> {
    pub(crate) const fn new() -> Self {
        Self {
            channel: Clear,
            utf8: false,
        }
    }

    pub(crate) fn command<R: Receipts>(self, command: Command, ctx: &mut Context<'_, R>) -> State {
        match command {
            // The secrets of these lines go down with `command`, unseen.
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } => {
                ctx.bad(Refusal::TlsRequired);
            }
            Command::Capa => capa::write(ctx, Channel::Clear, None),
            Command::Stls => return self.stls(ctx),
            Command::Quit => return State::Leaving(Farewell::before_login()),
            Command::Utf8 if ctx.policy.utf8 => return State::Clear(self.utf8_mode(ctx)),
            Command::Lang(range) if ctx.policy.utf8 => lang::handle(range.as_deref(), ctx.out),
            other => ctx.wrong_state(&other),
        }
        State::Clear(self)
    }
}

impl Authorization<Secure> {
    pub(crate) const fn new(channel: Channel) -> Self {
        let tls = matches!(channel, Channel::Tls);
        Self {
            channel: Secure {
                tls,
                name: None,
                exchange: None,
            },
            utf8: false,
        }
    }

    pub(crate) const fn channel(&self) -> Channel {
        if self.channel.tls {
            Channel::Tls
        } else {
            Channel::Trusted
        }
    }

    pub(crate) fn command<R: Receipts>(mut self, command: Command, ctx: &mut Context<'_, R>) -> State {
        match command {
            Command::User(name) => {
                self.channel.name = Some(name);
                restante_wire::response::ok(ctx.out, "Send PASS");
            }
            Command::Pass(password) => match self.channel.name.take() {
                Some(name) => ctx.ask(Request::Verify(restante_sasl::Claim::Password {
                    name,
                    password,
                    mechanism: "USER",
                })),
                None => ctx.bad(Refusal::NameFirst),
            },
            Command::Auth { mechanism: None, .. } => auth::list(ctx),
            Command::Auth {
                mechanism: Some(mechanism),
                initial,
            } => {
                self.channel.name = None;
                match auth::begin(&mechanism, initial.as_ref(), ctx) {
                    Some(turn) => self.turn(turn, ctx),
                    None => ctx.bad(Refusal::UnknownMechanism),
                }
            }
            Command::Capa => capa::write(ctx, self.channel(), None),
            Command::Stls if !self.channel.tls => return self.stls(ctx),
            Command::Stls => ctx.bad(Refusal::StlsNotAvailable),
            Command::Quit => return State::Leaving(Farewell::before_login()),
            Command::Utf8 if ctx.policy.utf8 => return State::Secure(self.utf8_mode(ctx)),
            Command::Lang(range) if ctx.policy.utf8 => lang::handle(range.as_deref(), ctx.out),
            other => ctx.wrong_state(&other),
        }
        State::Secure(self)
    }

    /// Takes a line of a SASL exchange. The caller has made sure that one is in progress.
    pub(crate) fn sasl_line<R: Receipts>(
        mut self,
        exchange: Exchange,
        line: &[u8],
        ctx: &mut Context<'_, R>,
    ) -> State {
        self.turn(exchange.line(line), ctx);
        State::Secure(self)
    }

    fn turn<R: Receipts>(&mut self, turn: Turn, ctx: &mut Context<'_, R>) {
        match turn {
            Turn::Challenge(exchange, challenge) => {
                restante_wire::response::continuation(ctx.out, &challenge);
                ctx.expect = LineKind::Sasl;
                self.channel.exchange = Some(exchange);
            }
            Turn::Verify(claim) => ctx.ask(Request::Verify(claim)),
            Turn::Fail(SaslError::Cancelled) => Refusal::Cancelled.write(ctx.out),
            Turn::Fail(SaslError::Malformed) => ctx.bad(Refusal::MalformedResponse),
            Turn::Fail(SaslError::Authorization) => ctx.refuse_login(Refusal::Credentials),
        }
    }
}

impl<C> Authorization<C> {
    /// Consumes the state: whatever the client said in the clear is gone before TLS begins (RFC 2595 section 4).
    fn stls<R: Receipts>(self, ctx: &mut Context<'_, R>) -> State
    where
        State: From<Self>,
    {
        if !ctx.policy.stls || self.utf8 {
            ctx.bad(Refusal::StlsNotAvailable);
            return self.into();
        }
        State::Stls
    }

    fn utf8_mode<R: Receipts>(self, ctx: &mut Context<'_, R>) -> Self {
        restante_wire::response::ok(ctx.out, "UTF-8 mode");
        Self { utf8: true, ..self }
    }
}
