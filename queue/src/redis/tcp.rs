//! Settings of TCP connections.

use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};

/// A connection whose peer has not acknowledged what was sent for this long is broken: the machine is gone, not busy.
const PEER_IS_GONE: Duration = Duration::from_secs(2);
/// A connection on which nothing moves is asked for a sign of life after this long, and then this often. It costs a
/// packet, and keeps a firewall from forgetting it.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// A connection that breaks when the other machine is gone, instead of waiting for it for a quarter of an hour. A server
/// that is frozen or busy still acknowledges what it is sent.
pub(super) fn tcp_settings() -> TcpSettings {
    let (first, then) = KEEP_ALIVE;
    let keep_alive = TcpKeepalive::new().with_time(first).with_interval(then);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(PEER_IS_GONE);
    settings
}
