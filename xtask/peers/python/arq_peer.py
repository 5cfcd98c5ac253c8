import asyncio
import os
import sys

from arq import Worker, create_pool, func
from arq.connections import RedisSettings

from common import KEEP_SECONDS, PARAMS, PATIENCE_SECONDS, PORT, job, produce_async

SETTINGS = RedisSettings(port=PORT)
POLL_SECONDS = float(os.environ.get("BENCH_POLL", "0.5"))
AT_ONCE = 100


async def noop(context, params):
    return job()


async def main(words):
    pool = await create_pool(SETTINGS)

    async def submit_batch(tasks):
        await asyncio.gather(*[pool.enqueue_job("noop", PARAMS) for _ in range(tasks)])

    async def ask():
        submitted = await pool.enqueue_job("noop", PARAMS)
        return await submitted.result(timeout=PATIENCE_SECONDS, poll_delay=POLL_SECONDS)

    await produce_async(words, lambda: pool.enqueue_job("noop", PARAMS), submit_batch, ask)


if sys.argv[1] == "work":
    asyncio.set_event_loop(asyncio.new_event_loop())
    Worker(
        [func(noop, name="noop", keep_result=KEEP_SECONDS)],
        redis_settings=SETTINGS,
        max_jobs=AT_ONCE,
        poll_delay=POLL_SECONDS,
        queue_read_limit=5 * AT_ONCE,
        log_results=False,
        health_check_interval=KEEP_SECONDS,
    ).run()
else:
    asyncio.run(main(sys.argv[1:]))
