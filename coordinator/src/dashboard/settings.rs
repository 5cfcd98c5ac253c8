//! Where the dashboard is served, and who may use it.

use std::net::SocketAddr;

use ops::secret::Secret;

/// Shortest token, in characters: it must not be guessed.
const TOKEN_LETTERS: usize = 16;

/// The dashboard's flags.
#[derive(Debug, clap::Args)]
pub struct DashboardFlags {
    /// Serve the dashboard at this address, for instance `127.0.0.1:8080`. Off by default.
    #[arg(long, env = "ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// Token with which an operator logs in to the dashboard: at least 16 characters. Without one, only a loopback address may be
    /// listened on, and every process of this machine may use the dashboard. Set it in the environment.
    #[arg(long, env = "ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Secret<String>>,
    /// Token for people who may look at the dashboard and change nothing. They do not see what people typed.
    #[arg(long, env = "ADMIN_READ_TOKEN", hide_env_values = true)]
    admin_read_token: Option<Secret<String>>,
    /// Host names under which the dashboard is opened, for instance that of a proxy; separate several with commas. The address
    /// itself and `localhost` are always accepted.
    #[arg(long, env = "ADMIN_HOST", value_delimiter = ',')]
    admin_host: Vec<String>,
}

/// The tokens of the two roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Whoever has it may do everything; without one nobody logs in.
    pub admin: Option<Secret<String>>,
    /// Whoever has it may look.
    pub read: Option<Secret<String>>,
}

/// How the dashboard is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardConfig {
    /// The address.
    pub listen: SocketAddr,
    /// Who may use it.
    pub tokens: Tokens,
    /// Host names that are accepted besides the address.
    pub hosts: Vec<String>,
}

impl DashboardFlags {
    /// The configuration that the flags stand for; none without an address. What is wrong is added to `problems`.
    pub(crate) fn into_config(self, problems: &mut Vec<String>) -> Option<DashboardConfig> {
        let listen = self.admin_listen?;
        let earlier = problems.len();
        let mut token = |name, value: Option<Secret<String>>| {
            token(name, value).unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        };
        let admin = token("ADMIN_TOKEN", self.admin_token);
        let read = token("ADMIN_READ_TOKEN", self.admin_read_token);
        let trimmed = self.admin_host.iter().map(|host| host.trim().to_ascii_lowercase());
        let hosts: Vec<String> = trimmed.filter(|host| !host.is_empty()).collect();
        let config = DashboardConfig { listen, tokens: Tokens { admin, read }, hosts };
        if problems.len() == earlier
            && let Some(problem) = config.problem()
        {
            problems.push(problem.to_owned());
        }
        Some(config)
    }
}

impl DashboardConfig {
    fn problem(&self) -> Option<&'static str> {
        let Tokens { admin, read } = &self.tokens;
        if admin.is_none() && !self.listen.ip().is_loopback() {
            return Some(
                "ADMIN_LISTEN is an address that other machines reach: it needs ADMIN_TOKEN, or take 127.0.0.1",
            );
        }
        if admin.is_none() && !self.hosts.is_empty() {
            return Some("ADMIN_HOST lets others reach the dashboard: it needs ADMIN_TOKEN");
        }
        if admin.is_none() && read.is_some() {
            return Some(
                "ADMIN_READ_TOKEN needs ADMIN_TOKEN: without it everybody may do everything",
            );
        }
        (admin.is_some() && admin == read)
            .then_some("ADMIN_TOKEN and ADMIN_READ_TOKEN are the same: take two")
    }
}

/// A token without the white space around it; none when it is not set.
fn token(name: &str, value: Option<Secret<String>>) -> Result<Option<Secret<String>>, String> {
    let value = value.map(|value| value.expose().trim().to_owned());
    // Compose files set unused variables to nothing.
    let value = value.filter(|value| !value.is_empty());
    if value.as_ref().is_some_and(|value| value.chars().count() < TOKEN_LETTERS) {
        return Err(format!(
            "{name} is too short: take at least {TOKEN_LETTERS} random characters, for instance from `openssl rand -hex 24`"
        ));
    }
    Ok(value.map(Secret::new))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        flags: DashboardFlags,
    }

    fn parse(arguments: &[&str]) -> Result<Option<DashboardConfig>, Vec<String>> {
        let program = std::iter::once("coordinator");
        let parsed = Arguments::try_parse_from(program.chain(arguments.iter().copied())).unwrap();
        let mut problems = Vec::new();
        let config = parsed.flags.into_config(&mut problems);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    const LONG: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    #[track_caller]
    fn refused(arguments: &[&str], part: &str) {
        let problems = parse(arguments).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(part), "{problems:?}");
    }

    #[test]
    fn without_an_address_there_is_none_and_a_loopback_needs_no_token() {
        assert_eq!(parse(&[]), Ok(None));
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let config = parse(&["--admin-listen", address]).unwrap().unwrap();
            assert_eq!(config.tokens, Tokens::default());
        }
    }

    #[test]
    fn what_others_can_reach_needs_a_token_that_cannot_be_guessed() {
        for address in ["0.0.0.0:8080", "192.168.0.1:8080", "[::]:8080"] {
            refused(&["--admin-listen", address], "needs ADMIN_TOKEN");
            assert!(parse(&["--admin-listen", address, "--admin-token", LONG]).is_ok());
        }
        let here = ["--admin-listen", "127.0.0.1:0"];
        for (more, part) in [
            (["--admin-host", "dash.example"].as_slice(), "ADMIN_HOST"),
            (&["--admin-token", "short"], "too short"),
            (&["--admin-read-token", LONG], "needs ADMIN_TOKEN"),
            (&["--admin-token", LONG, "--admin-read-token", LONG], "take two"),
        ] {
            refused(&[&here[..], more].concat(), part);
        }
        let both = ["--admin-token", LONG, "--admin-read-token", OTHER];
        assert!(parse(&[&here[..], &both].concat()).is_ok());
    }

    #[test]
    fn a_token_does_not_print_itself() {
        let config = parse(&["--admin-listen", "127.0.0.1:0", "--admin-token", LONG]);
        let config = config.unwrap().unwrap();
        assert_eq!(config.tokens.admin.as_ref().unwrap().expose(), LONG);
        assert!(!format!("{config:?}").contains(LONG));
    }
}
