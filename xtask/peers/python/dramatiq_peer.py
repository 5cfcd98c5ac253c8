import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from common import KEEP_SECONDS, PARAMS, PATIENCE_SECONDS, URL, job, produce

broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL), result_ttl=KEEP_SECONDS * 1000))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop(params):
    return job()


if __name__ == "__main__":
    produce(
        sys.argv[1:],
        lambda: noop.send(PARAMS),
        None,
        lambda: noop.send(PARAMS).get_result(block=True, timeout=PATIENCE_SECONDS * 1000),
    )
