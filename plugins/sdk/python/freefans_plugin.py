"""The guest library of FreeFans Workers for Python.

A plugin is one `Plugin` with its task types and chat commands. A handler gets the params and a `Context`, and returns the
answer: a dict, with a `view` where people shall see more than text. It fails by raising `Invalid`, `NotFound`, `Retry` or
`Fatal`. Nothing here needs a worker: `Plugin.answer` runs a task in a plain test.

The other half, `freefans_component`, connects a plugin to the host; only the file that is built names it.
"""

import json
import random
import re

__all__ = ["Plugin", "Context", "Host", "View", "ViewError", "ask", "link", "escape"]
__all__ += ["Failure", "Invalid", "NotFound", "Retry", "Fatal", "Response", "RequestFailed"]


class Failure(Exception):
    """Why a task has no answer. The text is shown to a person: plain words, no secrets."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


class Invalid(Failure):
    """The params make no sense: the person has to ask differently."""


class NotFound(Failure):
    """The params are fine, but there is nothing to answer with."""


class Retry(Failure):
    """Something outside is not available; the host tries again, after at least `after_ms` milliseconds."""

    def __init__(self, reason, after_ms=None):
        super().__init__(reason)
        self.after_ms = after_ms


class Fatal(Failure):
    """It will never work as things are, for instance because a setting is missing."""


class ViewError(ValueError):
    """A view breaks a rule of the contract; the text names the rule and its limit."""


class RequestFailed(Exception):
    """No answer from another server: denied, not reached, or too large. Turn it into `Retry` or `Fatal`."""


class Response:
    """What another server answered."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


class Host:
    """What a plugin may ask its host for. This one keeps everything in memory, for tests."""

    def __init__(self, config=None, data=None, responses=None):
        self.settings = dict(config or {})
        self.files = dict(data or {})
        self.responses = dict(responses or {})
        self.entries = {}
        self.lines = []
        self.reports = []

    def log(self, level, message):
        self.lines.append((level, message))

    def config(self, key):
        return self.settings.get(key)

    def data(self, name):
        if name not in self.files:
            raise Fatal(f"the settings file has no data file `{name}`: add it to [grants.data]")
        return self.files[name]

    def cache_get(self, key):
        return self.entries.get(key)

    def cache_set(self, key, value, ttl_seconds):
        if ttl_seconds == 0:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value
        return True

    def progress(self, text, percent):
        self.reports.append((text, percent))

    def fetch(self, method, url, headers, body):
        if (method, url) not in self.responses:
            raise RequestFailed(f"this test has no response for {method} {url}")
        return self.responses[method, url]


class Context:
    """One task, and what its handler may ask the host for."""

    def __init__(self, host, task_id="", user_id=0, attempt=1, time_left_ms=30_000, seed=0):
        self._host = host
        self.task_id = task_id
        self.user_id = user_id
        self.attempt = attempt
        self.time_left_ms = time_left_ms
        self.seed = seed

    def log(self, message, level="info"):
        """Writes one line to the worker's log. `level`: trace, debug, info, warn or error."""
        self._host.log(level, str(message))

    def config(self, key, default=None):
        """A value of [config] in the settings file, always a text."""
        value = self._host.config(key)
        return default if value is None else value

    def data(self, name):
        """The bytes of a file of [grants.data]. Best read once, in `Plugin.prepare`."""
        return self._host.data(name)

    def cache_get(self, key):
        """The bytes under `key`; None without them, and also without a cache."""
        return self._host.cache_get(key)

    def cache_set(self, key, value, ttl_seconds):
        """Stores bytes. False if there is no cache or the value is too large: go on without it."""
        return self._host.cache_set(key, value, ttl_seconds)

    def progress(self, text, percent=None):
        """Shows the person how far a long task has come."""
        self._host.progress(text, percent)

    def fetch(self, url, method="GET", headers=None, body=b""):
        """Sends a request to an origin that `net` in [grants] lists. Raises `RequestFailed`."""
        return self._host.fetch(method, url, dict(headers or {}), body)


class Plugin:
    """A plugin: its name, version, task types and chat commands."""

    def __init__(self, name, version):
        self.name = name
        self.version = version
        self.task_types = {}
        self.commands = []
        self._prepare = None

    def task(self, name, summary, params):
        """Declares a task type: `params` is the JSON Schema (draft 2020-12) of what the handler gets."""

        def declare(handler):
            self.task_types[name] = {"summary": summary, "params": params, "handler": handler}
            return handler

        return declare

    def command(self, name, description, task_type, **more):
        """Declares a chat command. `more`: argument, params, descriptions, language_param, as the contract has them."""
        declared = {"name": name, "description": description, "task_type": task_type}
        self.commands.append(declared | more)

    def prepare(self, function):
        """Declares what runs once before all tasks, with a `Context` that has no task. What it raises refuses the plugin."""
        self._prepare = function
        return function

    def extensions(self):
        """The `extensions` of the description."""
        return {"version": 1, "commands": self.commands}

    def run_prepare(self, host):
        if self._prepare is not None:
            self._prepare(Context(host))

    def handle(self, task_type, params, context):
        """Runs a handler. Random numbers come from the task's own seed, not from the one that all tasks share."""
        random.seed(context.seed)
        return self.task_types[task_type]["handler"](params, context)

    def answer(self, task_type, params, host=None, **task):
        """For tests: the answer as the host will read it, so that what is not JSON is found here."""
        answer = self.handle(task_type, params, Context(host or Host(), **task))
        return json.loads(to_json(answer))


def to_json(value):
    """JSON without NaN and infinities, which it does not have."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def escape(text):
    """Text that a view's markup shows as it is."""
    return re.sub(r"([\\`*_\[\]<>#~])", r"\\\1", text)


def ask(text, task_type, params=None):
    """A button: a task whose answer replaces the message."""
    return {"text": _label(text)} | _request(task_type, params)


def link(text, url):
    """A button that opens an address."""
    return {"text": _label(text), "url": _address(url)}


class View:
    """What a chat shows. Texts that are too long are cut; whatever else breaks the contract raises `ViewError`."""

    MAX_TEXT_CHARS, MAX_TEXT_BYTES = 16_000, 32 << 10
    MAX_ITEMS, MAX_TITLE_CHARS, MAX_ITEM_TEXT_CHARS = 50, 120, 300
    MAX_MEDIA, MAX_CAPTION_CHARS = 10, 200
    MAX_ROWS, MAX_IN_ROW, MAX_BUTTONS, MAX_LABEL_CHARS = 8, 4, 24, 48
    MAX_PARAMS_BYTES, MAX_PARAMS_LEVELS = 2 << 10, 32
    MAX_ADDRESS_BYTES, MAX_BYTES = 2_048, 48 << 10

    def __init__(self, text=""):
        text = _cut(text, self.MAX_TEXT_CHARS)
        while len(text.encode()) > self.MAX_TEXT_BYTES:
            text = _cut(text, len(text) - 1 - (len(text.encode()) - self.MAX_TEXT_BYTES) // 4)
        self._view = {"version": 1, "text": text, "items": [], "media": [], "buttons": []}

    def item(self, title, url=None, text=None):
        """Adds an entry of the numbered list."""
        item = {"title": _cut(_filled(title, "an item's title"), self.MAX_TITLE_CHARS)}
        if url is not None:
            item["url"] = _address(url)
        if text is not None:
            item["text"] = _cut(text, self.MAX_ITEM_TEXT_CHARS)
        return self._add("items", item, self.MAX_ITEMS)

    def photo(self, url, caption=None):
        return self._media("photo", url, caption)

    def video(self, url, caption=None):
        return self._media("video", url, caption)

    def row(self, *buttons):
        """Adds a row of buttons, made by `ask` and `link`."""
        if not 1 <= len(buttons) <= self.MAX_IN_ROW:
            raise ViewError(f"a row has 1 to {self.MAX_IN_ROW} buttons, not {len(buttons)}")
        if sum(map(len, self._view["buttons"])) + len(buttons) > self.MAX_BUTTONS:
            raise ViewError(f"a view has at most {self.MAX_BUTTONS} buttons")
        return self._add("buttons", list(buttons), self.MAX_ROWS)

    def next(self, task_type, params=None):
        """Adds the last button, which starts a task."""
        self._view["next"] = _request(task_type, params)
        return self

    def build(self):
        """The view for an answer: `{"view": View("Hello").build()}`."""
        view = self._view
        if not (view["text"].strip() or view["items"] or view["media"]):
            raise ViewError("a view needs text, items or media: without them it is not shown")
        size = len(to_json(view).encode())
        if size > self.MAX_BYTES:
            raise ViewError(f"a view has at most {self.MAX_BYTES} bytes, not {size}: show less, and the rest by `next`")
        return {name: part for name, part in view.items() if part or name == "text"}

    def _media(self, kind, url, caption):
        media = {"type": kind, "url": _address(url)}
        if caption is not None:
            media["caption"] = _cut(caption, self.MAX_CAPTION_CHARS)
        return self._add("media", media, self.MAX_MEDIA)

    def _add(self, part, value, limit):
        if len(self._view[part]) == limit:
            raise ViewError(f"a view has at most {limit} {'rows of buttons' if part == 'buttons' else part}")
        self._view[part].append(value)
        return self


def _cut(text, limit):
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _filled(text, what):
    if not text.strip():
        raise ViewError(f"{what} is empty")
    return text


def _label(text):
    return _cut(_filled(text, "a button's text"), View.MAX_LABEL_CHARS)


def _address(url):
    if not re.match(r"https?://[^/?#\s]", url) or len(url.encode()) > View.MAX_ADDRESS_BYTES:
        raise ViewError(f"an address is http or https, at most {View.MAX_ADDRESS_BYTES} bytes: {url[:100]}")
    return url


def _request(task_type, params):
    params = {} if params is None else params
    if not re.fullmatch("[a-z][a-z0-9_]{0,63}", task_type):
        raise ViewError(f"`{task_type}` is no task type: 1 to 64 lower case letters, digits and _, a letter first")
    if not isinstance(params, dict):
        raise ViewError(f"the params of `{task_type}` are no dict")
    size = len(to_json(params).encode())
    if size > View.MAX_PARAMS_BYTES or _levels(params) > View.MAX_PARAMS_LEVELS:
        raise ViewError(
            f"the params of `{task_type}` have {size} bytes and {_levels(params)} levels; at most "
            f"{View.MAX_PARAMS_BYTES} bytes and {View.MAX_PARAMS_LEVELS} levels fit a button"
        )
    return {"task_type": task_type, "params": params}


def _levels(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return 1 + max(map(_levels, inner), default=0)
