//! HTTP/1.1 on the connections of a listener, in the clear or inside TLS, within limits.
//!
//! Knows sockets only as what `restante-net` hands over, and decides nothing about requests. Start at
//! [`AdminService::serve`].

use std::pin::pin;
use std::sync::Arc;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use restante_net::{
    AcceptEvent, AcceptRules, Accepted, BudgetLimits, ConnectionBudget, Drain, DrainSignal, Listener,
    PacedStream, ProxyPolicy, RateFloor, TlsStack,
};
use restante_types::ClientAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use crate::{AdminLimits, AdminService};

/// Headers of one request.
const HEADERS: usize = 64;
/// The least that hyper takes for its buffer.
const LEAST_BUFFER: usize = 8 * 1024;

impl AdminService {
    /// Serves the whole interface on `listener` until `drain` starts: not the drain of the sessions, during which
    /// people want to look on, but one that is started after it. Requests that have begun are answered.
    ///
    /// `tls` speaks `http/1.1` if it names an application protocol.
    ///
    /// # Cancel safety
    /// Dropping it closes the listener; connections go on until `drain` ends.
    pub async fn serve(&self, listener: Listener, tls: Option<Arc<TlsStack>>, drain: Drain) {
        run(self.router(), *self.limits(), listener, tls, drain).await;
    }

    /// Serves metrics and health alone, in the same way and in the clear.
    ///
    /// # Cancel safety
    /// As [`Self::serve`].
    pub async fn serve_metrics(&self, listener: Listener, drain: Drain) {
        run(self.metrics_router(), *self.limits(), listener, None, drain).await;
    }
}

async fn run(
    router: Router,
    limits: AdminLimits,
    listener: Listener,
    tls: Option<Arc<TlsStack>>,
    drain: Drain,
) {
    let budget = BudgetLimits {
        total: limits.connections,
        per_client: limits.connections_per_address,
        unauthenticated: limits.connections,
    };
    let rules = AcceptRules {
        proxy: ProxyPolicy {
            trusted: Vec::new(),
            timeout: limits.header_timeout,
        },
        budget: ConnectionBudget::new(budget),
        refusal: Arc::from([]),
        on_event: Arc::new(|event| {
            if let AcceptEvent::Refused(refusal) = event {
                debug!(%refusal, "connection to the admin port turned away");
            }
        }),
    };
    let handler = move |accepted| converse(accepted, router.clone(), limits, tls.clone());
    restante_net::serve(listener, rules, drain, handler).await;
}

async fn converse(accepted: Accepted, router: Router, limits: AdminLimits, tls: Option<Arc<TlsStack>>) {
    let Accepted {
        stream,
        client,
        permit: _permit,
        drain,
        ..
    } = accepted;
    let stream = PacedStream::new(stream, RateFloor::default());
    let Some(tls) = tls else {
        return speak(stream, client, router, limits, drain).await;
    };
    match Box::pin(tls.accept(stream)).await {
        Ok(stream) => Box::pin(speak(stream, client, router, limits, drain)).await,
        Err(error) => debug!(%error, "TLS handshake of the admin port failed"),
    }
}

async fn speak<S>(stream: S, client: ClientAddr, router: Router, limits: AdminLimits, drain: DrainSignal)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.layer(Extension(client)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS)
        .max_buf_size(limits.header_octets.max(LEAST_BUFFER))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection to the admin port broke off");
    }
}
