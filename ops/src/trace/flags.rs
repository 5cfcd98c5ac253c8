//! The flags of traces. Their variables are OpenTelemetry's own.

use crate::secret::Secret;

/// Where the spans of traces go, and which.
#[derive(Debug, Clone, clap::Args)]
pub struct TraceFlags {
    /// Sends traces to the OTLP collector at this address, over HTTP with protobuf (usually its port 4318): to `/v1/traces` below
    /// it. Default: none, and no span is made.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otel_endpoint: Option<String>,
    /// Headers for the collector, such as its key: `name=value,name=value`, values percent-encoded.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true)]
    pub otel_headers: Option<Secret<String>>,
    /// Longest time for one call of the collector, in milliseconds. The default is the standard's.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub otel_timeout_ms: u64,
    /// The program's name in traces (`service.name`). Default: `freefans-coordinator` or `freefans-worker`.
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,
    /// More about this process for the collector: `name=value,name=value`, values percent-encoded.
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_name = "ATTRIBUTES")]
    pub otel_resource_attributes: Option<String>,
    /// Which traces are sent: `parentbased_always_on` (all), `parentbased_traceidratio` (a share), `parentbased_always_off`,
    /// `always_on`, `traceidratio`, `always_off`. With `parentbased` a worker does as the coordinator decided, so that a
    /// trace is whole or absent.
    #[arg(
        long,
        env = "OTEL_TRACES_SAMPLER",
        default_value = "parentbased_always_on",
        value_name = "SAMPLER"
    )]
    pub otel_sampler: String,
    /// The share of traces that are sent, from 0 to 1, for the samplers with `traceidratio`.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 1.0, value_name = "SHARE")]
    pub otel_sampler_arg: f64,
}
