//! Traces for OpenTelemetry (feature `otlp`): a span for each request and each fetch, sent to the collector
//! that the standard variables name. The exporter has a thread of its own: nobody waits for a collector.

use std::{sync::OnceLock, time::Duration};

use axum::http::{HeaderMap, HeaderName};
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::TracerProvider,
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, Tracer},
};
use tracing::{Span, level_filters::LevelFilter};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::{
    Layer,
    filter::{Filtered, Targets},
    registry::LookupSpan,
};

/// What this service is called where `OTEL_SERVICE_NAME` does not say otherwise.
const SERVICE: &str = "model-catalog";
/// How long a stop waits for the last spans to be sent.
const LAST_SPANS: Duration = Duration::from_secs(1);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Our spans, whatever the log shows.
type SpanLayer<S> = Filtered<OpenTelemetryLayer<S, Tracer>, Targets, S>;

/// The layer that sends our spans. `is_named` when the environment names the service. Fails when the
/// variables cannot be used.
pub fn layer<S>(is_named: bool) -> Result<SpanLayer<S>, String>
where
    S: tracing::Subscriber + for<'s> LookupSpan<'s>,
{
    let exporter = SpanExporter::builder().with_http().build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    let mut resource = Resource::builder();
    if !is_named {
        resource = resource.with_service_name(SERVICE);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer(SERVICE);
    // A second start of the log, which there is in tests only, keeps the first one.
    let _ = PROVIDER.set(provider);
    let ours = Targets::new().with_target("model_catalog", LevelFilter::DEBUG);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        // The log has the events already.
        .with_location(false)
        .with_threads(false);
    Ok(layer.with_filter(ours))
}

/// Sends the spans that have ended, and ends.
pub fn stop() {
    if let Some(provider) = PROVIDER.get() {
        // A collector that does not answer must not keep the service from ending.
        let _ = provider.shutdown_with_timeout(LAST_SPANS);
    }
}

/// Makes `span` a part of the trace that the W3C `traceparent` in `headers` names.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    // Without the layer there is no trace to be a part of.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&Carrier(headers)));
}

struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
