//! Commands, as the session reports them.

use restante_session::Served;

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry};

impl InternalEvent for Served {
    fn emit(self, telemetry: &Telemetry) {
        let result = if self.refusal.is_some() { "refused" } else { "ok" };
        if let Some(verb) = self.verb {
            telemetry.count(Counter::Commands, &[verb.as_str(), result]);
            telemetry
                .metrics()
                .observe(Histogram::CommandSeconds, &[verb.as_str()], self.elapsed);
        } else if self.refusal.is_some() {
            // No command, or nobody had asked.
            telemetry.count(Counter::Commands, &["other", result]);
        }
        if let Some(refusal) = self.refusal {
            let code = refusal
                .code_and_text()
                .0
                .map_or("none", restante_wire::RespCode::as_str);
            telemetry.count(Counter::Refusals, &[code, refusal.as_str()]);
        }
    }
}
