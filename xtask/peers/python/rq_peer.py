import sys

from redis import Redis
from rq import Queue, SimpleWorker, Worker

from common import KEEP_SECONDS, PARAMS, PATIENCE_SECONDS, PORT, job, produce


def noop(params):
    return job()


def main():
    # A job is stored as the name of its function, and this file's own name is `__main__` here.
    import rq_peer

    redis = Redis(port=PORT)
    queue = Queue("bench", connection=redis)

    def enqueue():
        return queue.enqueue(rq_peer.noop, PARAMS, result_ttl=KEEP_SECONDS)

    def enqueue_batch(tasks):
        job = Queue.prepare_data(rq_peer.noop, args=(PARAMS,), result_ttl=KEEP_SECONDS)
        queue.enqueue_many([job] * tasks)

    words = sys.argv[1:]
    if words[0] == "work":
        kind = {"simple": SimpleWorker, "fork": Worker}[words[1]]
        kind([queue], connection=redis).work(logging_level="ERROR")
    else:
        produce(
            words,
            enqueue,
            enqueue_batch,
            lambda: enqueue().latest_result(timeout=PATIENCE_SECONDS).return_value,
        )


if __name__ == "__main__":
    main()
