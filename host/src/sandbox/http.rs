//! The requests of one task.

mod client;
mod world;

use std::sync::Arc;

use ops::trace;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody, WasiHttpHooks};

use crate::metrics;
use crate::replay::world::World;
use crate::sandbox::limits::{Breaches, Limit};

pub(crate) use self::client::HttpClient;
use self::client::{LastRequest, was_sent};

/// Bytes of one write to a request's body.
const BODY_CHUNK_BYTES: usize = 16 << 10;

/// Counts one task's requests and passes them to the plugin's client.
pub(crate) struct Outgoing {
    client: Option<Arc<HttpClient>>,
    world: Option<Arc<World>>,
    sent: u32,
    breaches: Breaches,
    last: LastRequest,
}

impl Outgoing {
    /// With `world` a case may answer.
    pub(crate) fn new(
        client: Option<Arc<HttpClient>>,
        world: Option<Arc<World>>,
        breaches: Breaches,
    ) -> Self {
        Self { client, world, sent: 0, breaches, last: LastRequest::default() }
    }

    /// Number of requests so far, including refused ones.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// How the last one ended.
    pub(crate) fn last(&self) -> &LastRequest {
        &self.last
    }
}

type Sent = Result<
    (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>),
    HttpError,
>;

impl WasiHttpHooks for Outgoing {
    // Buffered chunks are in the host's memory, and a guest may open many bodies.
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        1
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _fut: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let Some(client) = self.client.clone() else {
            return Box::new(async { Err(HttpError::HttpRequestDenied) });
        };
        self.sent += 1;
        if self.sent > client.limits.http_requests {
            self.breaches.note(Limit::Requests);
            metrics::http_failed(&client.plugin, false);
            return Box::new(async { Err(HttpError::ConnectionLimitReached) });
        }
        let breaches = self.breaches.clone();
        let last = self.last.clone();
        let world = self.world.clone();
        // It is sent by another task, for the same run.
        Box::new(trace::carry(async move {
            let response = match world {
                None => client.send(request, options, breaches, &last).await,
                Some(world) => {
                    world::send(&world, &client, request, options, breaches, &last).await
                }
            };
            let response = response.inspect_err(|error| {
                metrics::http_failed(&client.plugin, was_sent(error));
            })?;
            let done = Box::new(async { Ok(()) });
            Ok((response, done as Box<dyn Future<Output = Result<(), HttpError>> + Send>))
        }))
    }
}
