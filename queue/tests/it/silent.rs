//! Connections without errors and without replies: they are replaced, and work goes on within ten seconds.

use std::time::Duration;

use queue::{Finish, Outbox, Task, TaskQueue, TaskResult};
use serde_json::json;
use test_kit::{Proxies, Proxy, TestCluster, TestRedis, TestSentinel};
use tokio::time::Instant;

use crate::support::{eventually, quick, task, task_type};
use crate::worker::{Echo, start};

/// Longest wait of a person, from the moment when the connections fall silent.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10);
/// Long enough that blocking commands have reached the server.
const SETTLED: Duration = Duration::from_millis(1_500);

/// A Redis with proxies before it, a queue that uses them, and one that does not.
struct Proxied<R> {
    proxies: Proxies,
    proxied: TaskQueue,
    direct: TaskQueue,
    redis: R,
}

impl<R> Proxied<R> {
    async fn begin(redis: R, ports: &[u16], url: &str) -> Self {
        let proxies = Proxies::start(ports);
        // As in production: a silence is noticed after some seconds.
        let config = queue::QueueConfig {
            lease: Duration::from_secs(6),
            renew_every: Duration::from_secs(2),
            ..quick()
        };
        let proxied = TaskQueue::connect(&proxies.url(url), config.clone()).await.unwrap();
        let direct = TaskQueue::connect(url, config).await.unwrap();
        Self { proxies, proxied, direct, redis }
    }

    fn forget(&self) {
        self.proxies.all().iter().for_each(Proxy::forget);
    }

    /// Short commands, blocking ones and a subscription go on, each alone and all together.
    async fn goes_on(&self) {
        // Short commands, also of callers that give up early.
        self.proxied.ping().await.unwrap();
        self.forget();
        let since = Instant::now();
        eventually("a short command", async || self.proxied.ping().await.ok()).await;
        assert!(since.elapsed() < RECOVERY_LIMIT, "{:?} until a short command", since.elapsed());
        self.forget();
        let since = Instant::now();
        let impatient = async || {
            let ping = tokio::time::timeout(Duration::from_millis(200), self.proxied.ping()).await;
            ping.ok()?.ok()
        };
        eventually("a command whose caller gives up early", impatient).await;
        assert!(
            since.elapsed() < RECOVERY_LIMIT,
            "{:?} until a impatient command",
            since.elapsed()
        );

        // A worker that waits for work, and a subscription.
        let worker =
            start(&self.proxied, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
        let asked = async |cause: &str| {
            let task = task(1, cause);
            self.direct.submit_task(&task).await.unwrap();
            self.proxied.get_result(&task.task_id, RECOVERY_LIMIT).await.unwrap()
        };
        assert!(asked("before").await.is_some());
        tokio::time::sleep(SETTLED).await;
        self.forget();
        let since = Instant::now();
        assert!(asked("after").await.is_some(), "no result after {:?}", since.elapsed());
        worker.stop().await;

        // A coordinator that waits for answers.
        let mut outbox = Outbox::new(&self.proxied, "me");
        outbox.refresh_lanes().await.unwrap();
        let read = drain(&mut outbox).await;
        assert_eq!(read.len(), 2, "{read:?}");
        self.answers_come(&mut outbox, "forgotten", Proxy::forget).await;
        // The read reached the server, but its reply is lost.
        self.answers_come(&mut outbox, "unheard", Proxy::forget_answers).await;
        self.answers_come(&mut outbox, "halved", Proxy::halve_answers).await;
    }

    async fn answers_come(&self, outbox: &mut Outbox, cause: &str, silence: impl Fn(&Proxy)) {
        let deliver = async {
            tokio::time::sleep(SETTLED).await;
            self.proxies.all().iter().for_each(silence);
            let since = Instant::now();
            answer(&self.direct, cause).await;
            since
        };
        let wanted = task(1, cause).task_id;
        let read = async {
            loop {
                let read = outbox.read(10, Duration::from_secs(1)).await.unwrap_or_default();
                if read.iter().any(|reply| reply.task.task_id == wanted) {
                    return Instant::now();
                }
            }
        };
        let read = tokio::time::timeout(test_kit::PATIENCE, read);
        let (since, end) = tokio::join!(deliver, read);
        let end = end.unwrap_or_else(|_| panic!("{cause}: an answer was never read"));
        assert!(
            end - since < RECOVERY_LIMIT,
            "{cause}: {:?} until an answer was read",
            end - since
        );
    }
}

async fn drain(outbox: &mut Outbox) -> Vec<queue::Reply> {
    let mut all = Vec::new();
    loop {
        let read = outbox.read(10, Duration::from_millis(200)).await.unwrap();
        if read.is_empty() {
            return all;
        }
        all.extend(read);
    }
}

async fn answer(queue: &TaskQueue, cause: &str) {
    queue.submit_task(&task(1, cause)).await.unwrap();
    let lease = queue.claim(&[task_type("echo")], "direct", 1).await.unwrap().remove(0);
    queue.store_result(lease, Finish::Done, TaskResult::success(json!(cause))).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_idle_connection_has_tcp_keep_alive() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), quick()).await.unwrap();
    queue.ping().await.unwrap();
    eventually("nothing on its way", async || {
        let kept = test_kit::kept_alive(std::process::id(), redis.port());
        (!kept.is_empty() && kept.iter().all(|kept| *kept)).then_some(())
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_to_a_machine_that_is_gone_breaks_after_seconds() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), quick()).await.unwrap();
    queue.ping().await.unwrap();
    let Some(found) = test_kit::patience_of(std::process::id(), redis.port()) else {
        return eprintln!("skipped: no process may look at another's sockets here");
    };
    assert!(!found.is_empty());
    for connection in found {
        assert!((1..=5_000).contains(&connection.unacknowledged_ms), "{connection:?}");
        let asks_after = connection.asks_after;
        assert!(asks_after.is_some_and(|asks| asks <= Duration::from_secs(5)), "{connection:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_connections_to_one_server_are_replaced() {
    let redis = TestRedis::start();
    let port = redis.port();
    let url = redis.url();
    Proxied::begin(redis, &[port], &url).await.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_connections_behind_sentinel_are_replaced() {
    let sentinel = TestSentinel::start().await;
    let ports = sentinel.ports();
    let url = sentinel.url();
    Proxied::begin(sentinel, &ports, &url).await.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_connections_in_a_cluster_are_replaced() {
    let cluster = TestCluster::start().await;
    let ports = cluster.ports();
    let url = cluster.url();
    Proxied::begin(cluster, &ports, &url).await.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_node_of_a_cluster_does_not_delay_other_nodes() {
    let cluster = TestCluster::start().await;
    let ports = cluster.ports();
    let url = cluster.url();
    let all = Proxied::begin(cluster, &ports, &url).await;
    let key = all.direct.keys().data(&queue::Lane::whole(&task_type("echo")));
    let node = all.redis.port(all.redis.owner(&key));
    // A type whose lane is on another node.
    let on_another = |name: &String| {
        let key = all.direct.keys().data(&queue::Lane::whole(&task_type(name)));
        all.redis.port(all.redis.owner(&key)) != node
    };
    let other = (0..).map(|n| format!("other{n}")).find(on_another).unwrap();
    for kind in ["echo", other.as_str()] {
        all.proxied
            .submit_task(&Task::new(task_type(kind), 1, serde_json::Map::new()))
            .await
            .unwrap();
    }
    all.proxies.before(node).forget();
    let since = Instant::now();
    let task = |kind: &str| Task::new(task_type(kind), 2, serde_json::Map::new());
    all.proxied.submit_task(&task(&other)).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(1), "{:?} on another node", since.elapsed());
    eventually("a submit to it", async || all.proxied.submit_task(&task("echo")).await.ok()).await;
    assert!(since.elapsed() < RECOVERY_LIMIT, "{:?} on the node", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_subscription_is_replaced() {
    let redis = TestRedis::start();
    let port = redis.port();
    let url = redis.url();
    let all = Proxied::begin(redis, &[port], &url).await;
    let id = task(1, "never").task_id;
    let waiting = tokio::spawn({
        let queue = all.proxied.clone();
        let id = id.clone();
        async move { queue.get_result(&id, Duration::from_secs(60)).await }
    });
    let channel = format!("{}{id}", all.direct.keys().done_channel_prefix());
    let subscribed = async |count: i64| {
        eventually("a subscription", async || {
            let (_, found): (String, i64) = redis::cmd("PUBSUB")
                .arg("NUMSUB")
                .arg(&channel)
                .query_async(&mut all.direct.connection())
                .await
                .unwrap();
            (found == count).then_some(())
        })
        .await;
    };
    subscribed(1).await;
    all.forget();
    let since = Instant::now();
    // The server does not notice the end of the old one.
    subscribed(2).await;
    assert!(since.elapsed() < RECOVERY_LIMIT, "{:?}", since.elapsed());
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_silent_from_the_start_are_hedged() {
    let redis = TestRedis::start();
    let proxy = Proxy::start(redis.port());
    proxy.forget_every_second();
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let since = Instant::now();
    let queue = TaskQueue::connect(&url, quick()).await.unwrap();
    assert!(since.elapsed() < RECOVERY_LIMIT, "{:?} until connected", since.elapsed());
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    for round in 0..3 {
        tokio::time::sleep(SETTLED).await;
        proxy.forget();
        let since = Instant::now();
        let asked = task(1, &format!("{round}"));
        eventually("a submit", async || queue.submit_task(&asked).await.ok()).await;
        let result = queue.get_result(&asked.task_id, RECOVERY_LIMIT).await.unwrap();
        assert!(result.is_some() && since.elapsed() < RECOVERY_LIMIT, "{:?}", since.elapsed());
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_connection_is_kept() {
    let redis = TestRedis::start();
    let proxy = Proxy::start(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let config = queue::QueueConfig { lease: Duration::from_secs(6), ..quick() };
    let queue = TaskQueue::connect(&url, config).await.unwrap();
    // Both ways together, more than the limit for silence.
    proxy.delay(Duration::from_millis(1_500));
    let first = proxy.connections();
    for n in 0..6 {
        queue.ping().await.unwrap();
        // After it was found to be slow, no further connection is opened.
        if n > 0 {
            assert!(proxy.connections() <= first + 3, "{} connections", proxy.connections());
        }
    }
    // The first connection is still in use: a slow one has a longer limit.
    proxy.forget();
    let since = Instant::now();
    eventually("a new connection", async || queue.ping().await.ok()).await;
    assert!(Duration::from_secs(3) < since.elapsed(), "another connection was in use");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_keeps_its_connections() {
    let redis = TestRedis::start();
    let proxy = Proxy::start(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let queue = TaskQueue::connect(&url, quick()).await.unwrap();
    redis.freeze();
    let asked = tokio::spawn({
        let queue = queue.clone();
        async move { queue.ping().await }
    });
    tokio::time::sleep(Duration::from_millis(3_300)).await;
    redis.thaw();
    // The command from before is answered.
    asked.await.unwrap().unwrap();
}
