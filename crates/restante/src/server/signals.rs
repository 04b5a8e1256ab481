//! Signals: SIGHUP reloads; SIGTERM and SIGINT drain, a second one hurries. Start at [`Signals::follow`].

use std::time::Duration;

use restante_net::Drain;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tracing::info;

use super::notify;
use super::reload::Reloader;

/// The signals that are followed, from the moment this exists.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// How the server leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    /// How long readiness fails before the listeners close.
    pub(super) lame_duck: Duration,
    /// How long connections have from then on.
    pub(super) deadline: Duration,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Does what the signals say, for ever.
    pub(super) async fn follow(mut self, drain: Drain, leave: Leave, mut reloader: Reloader) {
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => reloader.reload().await,
                is_hasty = told_to_leave(&mut self.terminate, &mut self.interrupt) => {
                    notify::stopping();
                    self.leave(&drain, leave, is_hasty).await;
                    break;
                }
            }
        }
        loop {
            told_to_leave(&mut self.terminate, &mut self.interrupt).await;
            info!("hurrying: what is still open is cut soon");
            drain.start(leave.deadline);
        }
    }

    /// Not ready first, so that balancers look elsewhere; then the listeners close.
    async fn leave(&mut self, drain: &Drain, leave: Leave, is_hasty: bool) {
        drain.lame_duck();
        if !is_hasty && !leave.lame_duck.is_zero() {
            info!(
                seconds = leave.lame_duck.as_secs(),
                "not ready any more; the listeners close soon"
            );
            tokio::select! {
                () = sleep(leave.lame_duck) => {}
                _ = told_to_leave(&mut self.terminate, &mut self.interrupt) => {
                    drain.start(leave.deadline);
                    info!("hurrying: what is still open is cut soon");
                }
            }
        }
        info!("draining; a second signal hurries");
        drain.start(leave.deadline);
    }
}

/// Whether somebody at a terminal waits for it.
async fn told_to_leave(terminate: &mut Signal, interrupt: &mut Signal) -> bool {
    tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => true,
    }
}
