//! Messages to the administrators: something is wrong, and that it is over.
//!
//! One coordinator looks and tells, by a lease in Redis ([`told`]). It reads what is known about queue, workers and plugins
//! ([`facts`]), decides what is wrong ([`condition`]), waits until it was so twice ([`changes`]), and sends one message for each cause
//! and one when it is over ([`message`]). What was told is in Redis, so another coordinator goes on with it.

mod changes;
mod condition;
mod facts;
mod message;
pub mod quiet_hours;
pub mod settings;
mod told;

use queue::TaskQueue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::telegram::send::Sender;
use changes::{Changes, Judged};
use condition::conditions;
use facts::LastTrouble;
use message::Messenger;
use quiet_hours::QuietHours;
use settings::AlertSettings;
use told::ToldStore;

/// Looks and tells until `shutdown`. `updates` says why no updates arrive. Returns at once without administrators.
pub(crate) async fn watch_until(
    queue: TaskQueue,
    sender: Sender,
    me: String,
    updates: watch::Receiver<Option<String>>,
    settings: AlertSettings,
    shutdown: CancellationToken,
) {
    if settings.admins.is_empty() {
        return;
    }
    let mut store = ToldStore::new(queue.clone(), sender.bot().id(), &me, settings.look_every);
    let messenger = Messenger::new(sender, settings.admins.clone(), shutdown.clone());
    let mut changes = Changes::default();
    let mut last_trouble = LastTrouble::default();
    loop {
        if shutdown.run_until_cancelled(tokio::time::sleep(settings.look_every)).await.is_none() {
            store.release().await;
            return;
        }
        let own = updates.borrow().clone();
        store.share_update_problem(own.as_deref()).await;
        if !store.leads().await {
            changes = Changes::default();
            continue;
        }
        let updates = own.or(store.update_problem().await);
        let facts = facts::read(&queue, updates, &mut last_trouble).await;
        let told = store.told().await;
        let wrong = conditions(&facts, &settings);
        let quiet = settings.quiet.is_some_and(QuietHours::are_now);
        let queue_facts = facts.judged();
        let judged = Judged {
            all: queue_facts.is_some(),
            queues: queue_facts.is_some_and(|queue| !queue.is_unattended()),
        };
        let change = changes.look(&wrong, &told, judged, quiet);
        for condition in change.begun {
            // Noted first: a coordinator that dies in between tells nothing rather than twice.
            store.note(condition).await;
            messenger.begun(condition).await;
        }
        for cause in change.ended {
            if let Some(told) = store.forget(&cause).await {
                messenger.ended(&cause, &told).await;
            }
        }
    }
}
