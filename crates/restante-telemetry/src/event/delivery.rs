//! Deliveries by LMTP.

use std::time::Duration;

use restante_types::{AccountId, SessionId};

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry};

/// What became of a message for one recipient.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryJudged {
    /// The LMTP session.
    pub session: SessionId,
    /// The recipient.
    pub account: AccountId,
    /// `delivered`, `repeated`, or why not.
    pub result: &'static str,
    /// The code of the reply (RFC 5321 section 4.2).
    pub code: u16,
    /// Octets of the message, if it came whole.
    pub octets: Option<u64>,
    /// From the end of the message.
    pub elapsed: Duration,
}

impl DeliveryJudged {
    /// The result of a message that is kept from now on.
    pub const DELIVERED: &'static str = "delivered";
}

impl InternalEvent for DeliveryJudged {
    fn emit(self, telemetry: &Telemetry) {
        tracing::info!(
            session = %self.session,
            account = %self.account,
            octets = self.octets,
            result = self.result,
            code = self.code,
            elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "delivery"
        );
        let metrics = telemetry.metrics();
        metrics.count(Counter::Deliveries, &[self.result], 1);
        metrics.observe(Histogram::DeliverySeconds, &[], self.elapsed);
        if self.result == Self::DELIVERED {
            metrics.count(Counter::DeliveredOctets, &[], self.octets.unwrap_or_default());
        }
    }
}

/// A recipient was refused before the message came.
#[derive(Clone, Copy, Debug)]
pub struct RecipientRefused {
    /// Why.
    pub result: &'static str,
}

impl InternalEvent for RecipientRefused {
    fn emit(self, telemetry: &Telemetry) {
        telemetry.count(Counter::Deliveries, &[self.result]);
    }
}
