//! The base address of a service, as its operator writes it, and links in its answers.

use freefans_plugin::text::{MAX_ADDRESS_BYTES, web_address};

/// Scheme, host and port, and the folder that the service is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    scheme: &'static str,
    authority: String,
    /// Empty, or from `/` on and without one at its end.
    folder: String,
}

impl Base {
    /// Reads an address like `https://host`, `https://host:8443` or `https://host/folder/`.
    ///
    /// # Errors
    ///
    /// What is wrong with it and how to write it, as the rest of a sentence that begins with the setting's name. The
    /// address is left out because it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let (scheme, rest) = scheme_of(text).ok_or("must begin with https:// or http://")?;
        if rest.contains(['?', '#']) {
            return Err("must end with its host or folder, without `?` and `#`");
        }
        let (authority, folder) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
        if authority.contains('@') {
            return Err("must not hold a user or a password; keys have settings of their own");
        }
        if !authority.is_ascii() {
            return Err("has a host with letters beyond ASCII; write it as DNS does, `xn--…`");
        }
        if !is_authority(authority) {
            return Err("must name a host, as in https://host or https://host:8443");
        }
        let of_folder = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if !folder.bytes().all(of_folder) {
            return Err(
                "has a folder with letters that an address does not take; write them as %XX",
            );
        }
        // Requests add their own path and query.
        if text.len() > MAX_ADDRESS_BYTES / 2 {
            return Err("is too long");
        }
        let authority = authority.to_ascii_lowercase();
        let folder = folder.trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, folder })
    }

    /// Without `folder` at the end, which requests add themselves.
    #[must_use]
    pub fn without(mut self, end: &str) -> Self {
        if let Some(folder) = self.folder.strip_suffix(end) {
            self.folder = folder.trim_end_matches('/').to_owned();
        }
        self
    }

    /// The address of a path of the service; the path begins with `/`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{}{path}", self.host(), self.folder)
    }

    /// A link in an answer as an absolute address; none when it is no web address.
    pub fn link(&self, link: &str) -> Option<String> {
        let link = link.trim();
        let absolute = if scheme_of(link).is_some() {
            link.to_owned()
        } else if link.starts_with("//") {
            format!("{}:{link}", self.scheme)
        } else if link.starts_with('/') {
            format!("{}{link}", self.host())
        } else {
            // A `:` before the first `/` means another scheme, for instance `data:`.
            let first = link.split('/').next().unwrap_or_default();
            if link.is_empty() || link.starts_with(['?', '#']) || first.contains(':') {
                return None;
            }
            self.at(&format!("/{link}"))
        };
        web_address(&absolute).then_some(absolute)
    }

    fn host(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

fn scheme_of(text: &str) -> Option<(&'static str, &str)> {
    ["https", "http"].into_iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        Some((scheme, rest.strip_prefix("://")?)).filter(|_| start.eq_ignore_ascii_case(scheme))
    })
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some("1"))),
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("1")),
        },
    };
    let of_host: &[u8] = if text.starts_with('[') { b":." } else { b".-_" };
    !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || of_host.contains(&byte))
        && port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_its_folder_however_it_ends() {
        for (text, at) in [
            ("https://forum.example", "https://forum.example/x"),
            (" HTTPS://Forum.example/ ", "https://forum.example/x"),
            ("http://127.0.0.1:8080/community//", "http://127.0.0.1:8080/community/x"),
            ("http://[::1]:81/a/b", "http://[::1]:81/a/b/x"),
            ("http://[::1]", "http://[::1]/x"),
        ] {
            assert_eq!(Base::parse(text).unwrap().at("/x"), at);
        }
        let base = Base::parse("https://p.example/sub/rest/v1/").unwrap();
        assert_eq!(base.without("/rest/v1").at("/x"), "https://p.example/sub/x");
    }

    #[test]
    fn an_address_that_cannot_be_used_says_how_to_write_it() {
        for (text, part) in [
            ("", "begin with https://"),
            ("forum.example", "begin with https://"),
            ("ftp://forum.example", "begin with https://"),
            ("https://", "name a host"),
            ("https:///x", "name a host"),
            ("https://a b", "name a host"),
            ("https://a.example:0", "name a host"),
            ("https://a.example:70000", "name a host"),
            ("https://[::1", "name a host"),
            ("https://[::1]81", "name a host"),
            ("https://a.example?x=1", "without `?`"),
            ("https://a.example/#part", "without `?`"),
            ("https://u:secret@a.example", "user or a password"),
            ("https://höst.example", "xn--"),
            ("https://a.example/größe", "%XX"),
            ("https://a.example/a b", "%XX"),
        ] {
            let error = Base::parse(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn links_are_made_whole() {
        let base = Base::parse("https://forum.example/community").unwrap();
        for (link, whole) in [
            ("https://cdn.example/7.png", Some("https://cdn.example/7.png")),
            ("//cdn.example/7.png", Some("https://cdn.example/7.png")),
            ("/community/uploads/7.png", Some("https://forum.example/community/uploads/7.png")),
            ("uploads/7.png", Some("https://forum.example/community/uploads/7.png")),
            ("", None),
            ("#x", None),
            ("javascript:alert(1)", None),
            ("data:image/png;base64,AA/", None),
            ("/a b.png", None),
        ] {
            assert_eq!(base.link(link).as_deref(), whole, "{link}");
        }
    }
}
