"""What the Python peers share: the job, and the line with the figures."""

import itertools
import json
import os
import time

URL = os.environ["BENCH_URL"]
PORT = int(URL.rsplit(":", 1)[1].strip("/"))
PARAMS = {
    "query": "alice",
    "limit": 10,
    "opts": {"fuzzy": True, "fields": ["name", "aliases"]},
    "id": "0f9d2c1e-7b1a-4c55",
}
BATCH = 1000
KEEP_SECONDS = 3600
PATIENCE_SECONDS = 10
WARM_UP = 20

_marks_file = os.environ.get("BENCH_MARKS")
_marks = {
    int(os.environ.get("BENCH_FIRST", "0")): ".first",
    int(os.environ.get("BENCH_LAST", "0")): ".last",
}
_jobs = itertools.count(1)


def job():
    """The job: nothing. Two of them leave the time in a file, for whoever measures."""
    mark = _marks.get(next(_jobs)) if _marks_file else None
    if mark:
        # Renamed, so that nobody reads half a number.
        part = f"{_marks_file}.part"
        with open(part, "w") as file:
            file.write(repr(time.time()))
        os.replace(part, _marks_file + mark)
    return {"ok": True, "hits": []}


def print_figures(**figures):
    print("RESULT " + json.dumps(figures), flush=True)


def print_rate(tasks, since):
    print_figures(per_s=tasks / (time.perf_counter() - since))


def print_times(seconds):
    ordered = sorted(seconds)

    def ms(share):
        return ordered[(len(ordered) - 1) * share // 100] * 1e3

    print_figures(p50_ms=ms(50), p95_ms=ms(95), p99_ms=ms(99))


def produce(words, submit_one, submit_batch, ask):
    """`submit single|bulk N` or `wait N`, for a library without asyncio."""
    if words[0] == "submit":
        tasks = int(words[2])
        since = time.perf_counter()
        if words[1] == "single":
            for _ in range(tasks):
                submit_one()
        else:
            for _ in range(0, tasks, BATCH):
                submit_batch(BATCH)
        print_rate(tasks, since)
        return
    took = []
    for number in range(int(words[1]) + WARM_UP):
        since = time.perf_counter()
        assert ask()["ok"]
        if number >= WARM_UP:
            took.append(time.perf_counter() - since)
    print_times(took)


async def produce_async(words, submit_one, submit_batch, ask):
    """The same for a library with asyncio."""
    if words[0] == "submit":
        tasks = int(words[2])
        since = time.perf_counter()
        if words[1] == "single":
            for _ in range(tasks):
                await submit_one()
        else:
            for _ in range(0, tasks, BATCH):
                await submit_batch(BATCH)
        print_rate(tasks, since)
        return
    took = []
    for number in range(int(words[1]) + WARM_UP):
        since = time.perf_counter()
        assert (await ask())["ok"]
        if number >= WARM_UP:
            took.append(time.perf_counter() - since)
    print_times(took)
