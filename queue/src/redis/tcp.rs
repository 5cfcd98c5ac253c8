//! Settings of TCP connections.

use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};

/// A connection breaks when sent data is unacknowledged for this long: the peer's machine is down. A busy one still
/// acknowledges.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(2);
/// When the first keep-alive is sent on an idle connection, and the interval after it. It costs a packet, and keeps a
/// firewall from forgetting the connection.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// Settings with which a connection breaks soon after the peer's machine is down, instead of after a quarter of an hour. A
/// frozen or busy server still acknowledges data.
pub(super) fn tcp_settings() -> TcpSettings {
    let (first, interval) = KEEP_ALIVE;
    let keep_alive = TcpKeepalive::new().with_time(first).with_interval(interval);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED_TIMEOUT);
    settings
}
