"""Connects a plugin to the host. The bindings exist only in a component, so tests use `freefans_plugin` alone."""

import json

from componentize_py_types import Err
from wit_world.imports import cache, config, data, log, progress

try:
    # Its name in a component that sends requests, where WASI has `types` too.
    from wit_world.imports import freefans_plugin_types as types
except ImportError:
    from wit_world.imports import types

from freefans_plugin import Context, Failure, Fatal, Host, Invalid, NotFound, Retry, to_json

LEVELS = {level.name.lower(): level for level in log.Level}


class ComponentHost(Host):
    """The host of a component."""

    def __init__(self, fetch=None):
        super().__init__()
        self._fetch = fetch

    def log(self, level, message):
        log.write(LEVELS[level], message)

    def config(self, key):
        return config.get(key)

    def data(self, name):
        try:
            return data.read(name)
        except Err as error:
            raise _data_failure(name, error.value) from None

    def cache_get(self, key):
        try:
            return cache.get(key)
        except Err:
            return None

    def cache_set(self, key, value, ttl_seconds):
        try:
            cache.set(key, value, ttl_seconds)
            return True
        except Err:
            return False

    def progress(self, text, percent):
        progress.report(text, percent)

    def fetch(self, method, url, headers, body):
        if self._fetch is None:
            raise Fatal("this component was built without requests: see app.py")
        return self._fetch(method, url, headers, body)


def _data_failure(name, error):
    if isinstance(error, data.DataError_NotGranted):
        return Fatal(f"the settings file has no data file `{name}`: add it to [grants.data]")
    if isinstance(error, data.DataError_TooLarge):
        return Fatal(f"the data file `{name}` is larger than {error.value} bytes")
    return Retry(f"the data file `{name}` cannot be read at the moment")


def _failure(error):
    if isinstance(error, Invalid):
        return types.Failure_Invalid(error.reason)
    if isinstance(error, NotFound):
        return types.Failure_NotFound(error.reason)
    if isinstance(error, Retry):
        return types.Failure_Retry(types.Retry(error.reason, error.after_ms))
    return types.Failure_Fatal(error.reason)


def component(plugin, fetch=None):
    """The class that a component exports: `WitWorld = component(plugin)`. `fetch` sends requests, where they are granted."""
    host = ComponentHost(fetch)

    class WitWorld:
        def describe(self):
            described = [
                types.TaskType(name, task["summary"], to_json(task["params"]))
                for name, task in plugin.task_types.items()
            ]
            return types.Descriptor(plugin.name, plugin.version, described, to_json(plugin.extensions()))

        def init(self):
            try:
                plugin.run_prepare(host)
            except Exception as error:
                raise Err(str(error)) from error

        def handle(self, task):
            context = Context(host, task.id, task.user_id, task.attempt, task.time_left_ms, task.seed)
            try:
                answer = plugin.handle(task.task_type, json.loads(task.params), context)
                return types.Output(to_json(answer), "{}")
            except Failure as failure:
                # Any other exception is a bug: it ends the task, and Python writes to the log where it is.
                raise Err(_failure(failure)) from None

    return WitWorld
