//! The origins that a plugin may send requests to.

pub mod address;
pub mod diff;

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// `scheme://host[:port]`, with the scheme's default port when none is written.
///
/// The host is parsed by the HTTP client's own parser, so every spelling of an address means the same here and there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads a grant such as `https://forum.example` or `http://127.0.0.1:8080`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn parse_grant(text: &str) -> Result<Self, String> {
        let uri: http::Uri = text.parse().map_err(|error| {
            format!(
                "`{text}` is not an address ({error}); write it as `https://host` or `https://host:port`"
            )
        })?;
        if uri.path() != "/" && !uri.path().is_empty() || uri.query().is_some() {
            return Err(format!(
                "`{text}` has a path; a grant is for a whole host, so write only `https://host`"
            ));
        }
        if text.contains(['@', '*', '#']) {
            return Err(format!("`{text}` must name one host, without user and without `*`"));
        }
        let origin = Url::parse(text).ok().and_then(|url| Self::of(&url)).ok_or_else(|| {
            format!("`{text}` must begin with `https://` or `http://` and name a host")
        })?;
        let written = uri.host().unwrap_or_default();
        if origin.literal().is_some() && address_in(written).is_none() {
            return Err(format!("`{text}` is the address {}; write `{origin}`", origin.host));
        }
        Ok(origin)
    }

    /// The origin of a service's address, which may have a path.
    ///
    /// # Errors
    ///
    /// As [`Origin::parse_grant`].
    pub fn of_address(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let authority = text.find("://").map_or(0, |scheme| scheme + 3);
        let behind = text.get(authority..).unwrap_or_default();
        let end = behind.find('/').map_or(text.len(), |end| authority + end);
        Self::parse_grant(text.get(..end).unwrap_or_default())
    }

    /// The origin of a request; none when its URL is not http(s), or has no host or one that ends with two dots.
    pub fn of(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host).to_owned();
        // Without its dots, `127.0.0..` would be an address.
        if host.is_empty() || host.ends_with('.') {
            return None;
        }
        let port = url.port_or_known_default()?;
        Some(Self { https, host, port })
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The port, also when it is the scheme's default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host in lower case. An IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The IP address, when the host is one.
    pub fn literal(&self) -> Option<IpAddr> {
        address_in(&self.host)
    }
}

/// The IP address of a host in its usual spelling.
fn address_in(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host, self.port)
    }
}

/// A plugin's allow-list.
#[derive(Debug, Clone, Default)]
pub struct NetGrants {
    origins: Vec<Origin>,
    /// Those of them that are told the trace of a request.
    traced: Vec<Origin>,
}

impl NetGrants {
    /// An allow-list of `origins`.
    pub fn new(origins: Vec<Origin>) -> Self {
        Self { origins, traced: Vec::new() }
    }

    /// Tells the trace of each request to the servers at `origins`.
    ///
    /// # Errors
    ///
    /// The first of them that is not on the list.
    pub fn traced(mut self, origins: Vec<Origin>) -> Result<Self, Origin> {
        match origins.iter().find(|origin| !self.allows(origin)) {
            Some(origin) => Err(origin.clone()),
            None => {
                self.traced = origins;
                Ok(self)
            }
        }
    }

    /// The origins that are told the trace of a request.
    pub fn traced_origins(&self) -> impl Iterator<Item = &Origin> {
        self.traced.iter()
    }

    /// Whether the server at `origin` is told the trace of a request.
    pub fn is_traced(&self, origin: &Origin) -> bool {
        self.traced.contains(origin)
    }

    /// Adds an origin.
    pub fn add(&mut self, origin: Origin) {
        self.origins.push(origin);
    }

    /// The origins on the list.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter()
    }

    /// Whether a request to `origin` may be sent.
    pub fn allows(&self, origin: &Origin) -> bool {
        self.origins.contains(origin)
    }

    /// Whether the operator granted this host as a literal address or as `localhost`. The address filter does not apply
    /// to it then: a private address is intended.
    pub fn private_by_name(&self, host: &str) -> bool {
        self.origins.iter().any(|origin| {
            origin.host == host && (origin.literal().is_some() || host == "localhost")
        })
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(list: &[&str]) -> NetGrants {
        NetGrants::new(list.iter().map(|text| Origin::parse_grant(text).unwrap()).collect())
    }

    #[track_caller]
    fn check(list: &[&str], request: &str, allowed: bool) {
        let origin = Url::parse(request).ok().and_then(|url| Origin::of(&url));
        assert_eq!(origin.is_some_and(|origin| grants(list).allows(&origin)), allowed, "{request}");
    }

    #[test]
    fn a_grant_is_for_one_scheme_host_and_port() {
        let list = ["https://forum.example", "http://127.0.0.1:8080"];
        check(&list, "https://forum.example/search.json?q=x", true);
        check(&list, "https://FORUM.example.:443/", true);
        check(&list, "http://forum.example/", false);
        check(&list, "https://forum.example:8443/", false);
        check(&list, "https://sub.forum.example/", false);
        check(&list, "https://forum.example.evil.example/", false);
        check(&list, "http://127.0.0.1:8080/x", true);
        check(&list, "http://127.0.0.1/", false);
        check(&[], "https://forum.example/", false);
    }

    #[test]
    fn a_grant_that_is_more_than_a_host_is_refused_with_the_form_to_write() {
        for bad in [
            "https://a.example/path",
            "a.example",
            "ftp://a.example",
            "https://*",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://a.example?q",
            "https://a.example#part",
            "https://",
            "https://[::1",
            "https://1.2.3.4.5",
            "https://a.example:70000",
            "",
        ] {
            assert!(Origin::parse_grant(bad).is_err(), "{bad}");
        }
        let error = Origin::parse_grant("https://a.example/x").unwrap_err();
        assert!(error.contains("write only `https://host`"), "{error}");
    }

    #[test]
    fn an_address_in_a_folder_is_for_its_host() {
        for address in
            ["https://a.example", "https://a.example/", " https://A.example:443/community/x\n"]
        {
            let origin = Origin::of_address(address).unwrap();
            assert_eq!(origin.to_string(), "https://a.example:443");
        }
        for bad in [
            "a.example/x",
            "https://u:p@a.example/x",
            "https://a.example?x/y",
            "https://a.example#x/y",
            "https:///x",
            "ftp://a.example/x",
            "https://h\u{f6}st.example/x",
            "/",
            "http://127.0.0..",
            "https://forum.example..",
            "",
        ] {
            assert!(Origin::of_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_is_the_address_it_stands_for() {
        let list = ["http://127.0.0.1"];
        for request in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
        ] {
            check(&list, request, true);
            let origin = Origin::of(&Url::parse(request).unwrap()).unwrap();
            assert_eq!(origin.literal(), Some("127.0.0.1".parse().unwrap()), "{request}");
            // The usual spelling shows the operator which address it is.
            let error = Origin::parse_grant(request.trim_end_matches('/')).unwrap_err();
            assert!(
                error.contains("write `http://127.0.0.1:80`") || request.contains('%'),
                "{error}"
            );
        }
        check(&["http://[::ffff:127.0.0.1]"], "http://[::ffff:7f00:1]/", true);
    }
}
