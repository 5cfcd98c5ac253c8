"""Requests to other servers: only in a component that is built with the world `requests` and has a `net` grant."""

from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler, streams
from wit_world.imports import wasi_http_types as http

from freefans_plugin import RequestFailed, Response

METHODS = {
    "GET": http.Method_Get,
    "HEAD": http.Method_Head,
    "POST": http.Method_Post,
    "PUT": http.Method_Put,
    "DELETE": http.Method_Delete,
    "OPTIONS": http.Method_Options,
    "PATCH": http.Method_Patch,
}
SCHEMES = {"http": http.Scheme_Http, "https": http.Scheme_Https}
# WASI writes at most so much at once.
CHUNK_BYTES = 4096
READ_BYTES = 64 << 10


def fetch(method, url, headers, body):
    """For `Context.fetch`: sends a request and waits for the whole answer."""
    try:
        request = _request(method, url, headers)
        out = request.body()
        future = outgoing_handler.handle(request, None)
        _send(out, body)
        with future.subscribe() as answered:
            answered.block()
        answer = future.get()
        if not isinstance(answer, Ok) or not isinstance(answer.value, Ok):
            reason = getattr(getattr(answer, "value", None), "value", answer)
            raise RequestFailed(f"{method} {url}: {_named(reason)}")
        return _read(answer.value.value)
    except Err as error:
        raise RequestFailed(f"{method} {url}: {_named(error.value)}") from None


def _request(method, url, headers):
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise RequestFailed(f"an address is http or https: {url[:100]}")
    request = http.OutgoingRequest(http.Fields.from_list([(name, value.encode()) for name, value in headers.items()]))
    request.set_method(METHODS[method]() if method in METHODS else http.Method_Other(method))
    request.set_scheme(SCHEMES[parts.scheme]())
    request.set_authority(parts.netloc)
    request.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    return request


def _send(out, body):
    if body:
        with out.write() as stream:
            for start in range(0, len(body), CHUNK_BYTES):
                stream.blocking_write_and_flush(body[start : start + CHUNK_BYTES])
    http.OutgoingBody.finish(out, None)


def _read(answer):
    headers = {name.lower(): value.decode("latin-1") for name, value in answer.headers().entries()}
    body = answer.consume()
    read = bytearray()
    with body.stream() as stream:
        while True:
            try:
                read += stream.blocking_read(READ_BYTES)
            except Err as error:
                if not isinstance(error.value, streams.StreamError_Closed):
                    raise
                break
    return Response(answer.status(), headers, bytes(read))


def _named(error):
    """`ErrorCode_ConnectionRefused()` as `ConnectionRefused()`."""
    return repr(error).removeprefix("ErrorCode_")
