//! Where spans go, which are sampled, and as whose. By OpenTelemetry's standard for the environment.

use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::flags::TraceFlags;

/// What OTLP over HTTP adds to the endpoint for traces.
const PATH: &str = "v1/traces";

/// The checked settings of the export.
#[derive(Clone)]
pub struct TraceSettings {
    pub(super) address: Url,
    /// Secret.
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    /// The resource's attributes, with the service's name if it was set.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) sampler: Sampler,
}

impl std::fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The headers are secrets.
        f.debug_struct("TraceSettings").field("sampler", &self.sampler).finish_non_exhaustive()
    }
}

impl TraceSettings {
    /// Checks the flags. None when there is no endpoint: then nothing is exported, and the other flags mean nothing.
    ///
    /// # Errors
    ///
    /// Says what is wrong with each that cannot be used, and never quotes a header.
    pub(crate) fn read(flags: &TraceFlags) -> Result<Option<Self>, Vec<String>> {
        let Some(endpoint) = &flags.otel_endpoint else { return Ok(None) };
        let mut problems = Vec::new();
        let mut note = |variable: &str, problem: String| {
            problems.push(format!("{variable}: {problem}"));
        };
        let address = address(endpoint)
            .map_err(|problem| note("OTEL_EXPORTER_OTLP_ENDPOINT", problem.to_owned()));
        let given = flags.otel_headers.as_ref().map_or("", |headers| headers.expose());
        let headers = headers(given).map_err(|problem| note("OTEL_EXPORTER_OTLP_HEADERS", problem));
        let given = flags.otel_resource_attributes.as_deref().unwrap_or_default();
        let attributes = pairs(given).map_err(|problem| note("OTEL_RESOURCE_ATTRIBUTES", problem));
        let sampler = sampler(&flags.otel_sampler, flags.otel_sampler_arg)
            .map_err(|problem| note("OTEL_TRACES_SAMPLER", problem));
        let (Ok(address), Ok(headers), Ok(mut attributes), Ok(sampler)) =
            (address, headers, attributes, sampler)
        else {
            return Err(problems);
        };
        if let Some(name) = &flags.otel_service_name {
            attributes.retain(|(key, _)| key != "service.name");
            attributes.push(("service.name".to_owned(), name.clone()));
        }
        let timeout = Duration::from_millis(flags.otel_timeout_ms);
        Ok(Some(Self { address, headers, timeout, attributes, sampler }))
    }
}

fn address(endpoint: &str) -> Result<Url, &'static str> {
    let unusable = "it is no address; write it as `http://host:port` or `https://host`";
    let mut address = Url::parse(endpoint).map_err(|_invalid| unusable)?;
    if !["http", "https"].contains(&address.scheme()) || !address.has_host() {
        return Err(unusable);
    }
    if !address.username().is_empty() || address.password().is_some() {
        return Err("it holds a password, which belongs into OTEL_EXPORTER_OTLP_HEADERS");
    }
    let path = format!("{}/{PATH}", address.path().trim_end_matches('/'));
    address.set_path(&path);
    Ok(address)
}

fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(text)? {
        let number = headers.len() + 1;
        let name: HeaderName =
            name.parse().map_err(|_invalid| format!("header {number} has no usable name"))?;
        let mut value = HeaderValue::try_from(value)
            .map_err(|_invalid| format!("the value of `{name}` cannot be sent as a header"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Reads `name=value,name=value`, in which values are percent-encoded.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .enumerate()
        .map(|(index, entry)| {
            // An entry is not quoted: it may be a secret.
            let wrong = || format!("entry {} is not `name=value`", index + 1);
            let (name, value) = entry.split_once('=').ok_or_else(wrong)?;
            let name = name.trim();
            let value = decoded(value.trim()).ok_or_else(wrong)?;
            if name.is_empty() { Err(wrong()) } else { Ok((name.to_owned(), value)) }
        })
        .collect()
}

/// The text with `%41` in place of each such byte; as it is where no two digits follow.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn sampler(name: &str, share: f64) -> Result<Sampler, String> {
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("its argument is {share}; it is a share from 0 to 1"));
    }
    let by_parent = |root| Sampler::ParentBased(Box::new(root));
    Ok(match name {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(share),
        "parentbased_always_on" => by_parent(Sampler::AlwaysOn),
        "parentbased_always_off" => by_parent(Sampler::AlwaysOff),
        "parentbased_traceidratio" => by_parent(Sampler::TraceIdRatioBased(share)),
        other => {
            return Err(format!(
                "`{other}` is no sampler: use `parentbased_always_on`, `parentbased_traceidratio`, `parentbased_always_off`, \
                 `always_on`, `traceidratio` or `always_off`"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Cli {
        #[command(flatten)]
        flags: TraceFlags,
    }

    fn read(args: &[&str]) -> Result<Option<TraceSettings>, Vec<String>> {
        TraceSettings::read(&Cli::try_parse_from(args).unwrap().flags)
    }

    #[test]
    fn without_an_endpoint_nothing_is_exported() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&["--otel-sampler", "what"]).unwrap().is_none());
    }

    #[test]
    fn the_standards_own_forms_are_read() {
        let settings = read(&[
            "--otel-endpoint=https://collector.example/base/",
            "--otel-headers=authorization=Basic%20YTpi, x-team = bots ",
            "--otel-resource-attributes=service.name=other,deployment.environment.name=a%2Cb",
            "--otel-service-name=mine",
            "--otel-sampler=parentbased_traceidratio",
            "--otel-sampler-arg=0.25",
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.address.as_str(), "https://collector.example/base/v1/traces");
        assert_eq!(settings.headers["authorization"], "Basic YTpi");
        assert_eq!(settings.headers["x-team"], "bots");
        let attributes: Vec<String> =
            settings.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(attributes, ["deployment.environment.name=a,b", "service.name=mine"]);
        assert_eq!(format!("{:?}", settings.sampler), "ParentBased(TraceIdRatioBased(0.25))");
        let printed = format!("{settings:?}");
        assert!(!printed.contains("YTpi") && !printed.contains("bots"), "{printed}");
    }

    #[test]
    fn every_problem_is_told_and_no_secret_with_it() {
        let problems = read(&[
            "--otel-endpoint=http://u:s3cret@collector.example",
            "--otel-headers=s3cret",
            "--otel-resource-attributes==x",
            "--otel-sampler=sometimes",
        ]);
        let problems = problems.unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(!problems.join(" ").contains("s3cret"), "{problems:?}");
        for args in [
            ["--otel-endpoint=collector.example:4318", "--otel-timeout-ms=1"],
            ["--otel-endpoint=ftp://collector.example", "--otel-timeout-ms=1"],
            ["--otel-endpoint=http://a.example", "--otel-sampler-arg=2"],
            ["--otel-endpoint=http://a.example", "--otel-headers=a b=c"],
            ["--otel-endpoint=http://a.example", "--otel-headers=a=%0a"],
            ["--otel-endpoint=http://a.example", "--otel-headers=a=%ff"],
        ] {
            assert_eq!(read(&args).unwrap_err().len(), 1, "{args:?}");
        }
    }
}
