//! Asking a Redis server on this machine, over a connection that stays open.
//!
//! A bench asks many times a second; a `redis-cli` for each question would take a core from what is measured.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

const PATIENCE: Duration = Duration::from_secs(30);

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// How many commands it has sent.
    asked: u64,
}

impl Connection {
    pub(crate) fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .with_context(|| format!("connecting to Redis on port {port}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), asked: 0 })
    }

    /// The answer as text: nothing for nil, and a line for each element of an array.
    pub(crate) fn ask(&mut self, command: &[&str]) -> anyhow::Result<String> {
        let mut request = format!("*{}\r\n", command.len());
        for word in command {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let asking = || format!("asking Redis `{}`", command.join(" "));
        self.stream.get_mut().write_all(request.as_bytes()).with_context(asking)?;
        self.asked += 1;
        read_answer(&mut self.stream).with_context(asking)
    }

    /// As [`Connection::ask`], for a number.
    pub(crate) fn ask_number(&mut self, command: &[&str]) -> anyhow::Result<u64> {
        let answer = self.ask(command)?;
        if answer.is_empty() {
            return Ok(0);
        }
        answer.parse().with_context(|| format!("`{}` answered `{answer}`", command.join(" ")))
    }

    /// How many commands it has sent.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }
}

fn read_answer(stream: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else { bail!("the server closed") };
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "-" => bail!("{rest}"),
        "$" => {
            let Ok(length) = rest.parse::<usize>() else { return Ok(String::new()) };
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(length);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => {
            let count = rest.parse::<usize>().unwrap_or(0);
            let parts: anyhow::Result<Vec<_>> = (0..count).map(|_| read_answer(stream)).collect();
            Ok(parts?.join("\n"))
        }
        other => bail!("an answer begins with `{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: Option<&str>) {
        let answer = read_answer(&mut BufReader::new(bytes.as_bytes()));
        assert_eq!(answer.ok().as_deref(), expected, "{bytes:?}");
    }

    #[test]
    fn answers_are_read_as_text() {
        check("+OK\r\n", Some("OK"));
        check(":17\r\n", Some("17"));
        check("$5\r\na\r\nbc\r\n", Some("a\r\nbc"));
        check("$-1\r\n", Some(""));
        check("*2\r\n$1\r\na\r\n*1\r\n:2\r\n", Some("a\n2"));
        check("-ERR no\r\n", None);
        check("", None);
    }
}
