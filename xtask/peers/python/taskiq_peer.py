import asyncio
import os
import sys

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from common import KEEP_SECONDS, PARAMS, PATIENCE_SECONDS, URL, job, produce_async

POLL_SECONDS = float(os.environ.get("BENCH_POLL", "0.2"))
results = RedisAsyncResultBackend(redis_url=URL, result_ex_time=KEEP_SECONDS)
broker = RedisStreamBroker(url=URL).with_result_backend(results)


@broker.task(task_name="noop")
async def noop(params: dict) -> dict:
    return job()


async def main(words):
    await broker.startup()

    async def submit_batch(tasks):
        await asyncio.gather(*[noop.kiq(PARAMS) for _ in range(tasks)])

    async def ask():
        task = await noop.kiq(PARAMS)
        result = await task.wait_result(check_interval=POLL_SECONDS, timeout=PATIENCE_SECONDS)
        return result.return_value

    await produce_async(words, lambda: noop.kiq(PARAMS), submit_batch, ask)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
