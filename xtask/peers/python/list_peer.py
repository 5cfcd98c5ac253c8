"""The design that this project began with: a list of tasks, workers that pop, a stored result, and a sender that looks for it
every 0.1 s."""

import asyncio
import json
import sys
import time
import uuid

import redis.asyncio as redis

from common import KEEP_SECONDS, PARAMS, URL, job, produce_async

TASKS = "tasks"
AT_ONCE = 10
POLL_SECONDS = 0.1


def new_task():
    id = str(uuid.uuid4())
    return id, json.dumps(
        {"task_id": id, "task_type": "noop", "params": PARAMS, "created_at": time.time()}
    )


async def work(client):
    while True:
        popped = await client.brpop(TASKS, timeout=1)
        if not popped:
            continue
        task = json.loads(popped[1])
        result = json.dumps({"status": "completed", "result": job()})
        await client.set(f"result:{task['task_id']}", result, ex=KEEP_SECONDS)


async def main(words):
    client = redis.from_url(URL, decode_responses=True)
    if words[0] == "work":
        await asyncio.gather(*[work(client) for _ in range(AT_ONCE)])

    async def submit_batch(tasks):
        pipe = client.pipeline(transaction=False)
        for _ in range(tasks):
            pipe.lpush(TASKS, new_task()[1])
        await pipe.execute()

    async def ask():
        id, task = new_task()
        await client.lpush(TASKS, task)
        while not (result := await client.get(f"result:{id}")):
            await asyncio.sleep(POLL_SECONDS)
        return json.loads(result)["result"]

    await produce_async(words, lambda: client.lpush(TASKS, new_task()[1]), submit_batch, ask)


asyncio.run(main(sys.argv[1:]))
