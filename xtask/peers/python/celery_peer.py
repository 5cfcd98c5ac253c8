import sys

from celery import Celery

from common import KEEP_SECONDS, PARAMS, PATIENCE_SECONDS, URL, job, produce

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    worker_prefetch_multiplier=64,
    result_expires=KEEP_SECONDS,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(params):
    return job()


if __name__ == "__main__":
    produce(
        sys.argv[1:],
        lambda: noop.delay(PARAMS),
        None,
        lambda: noop.delay(PARAMS).get(timeout=PATIENCE_SECONDS),
    )
