"""What hypothesis draws: pages and answers that are valid but for changes in the tree, in the bytes, on the wire."""

import functools
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.extract.requests import first_request, streams_of, streams_of_parents
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.hostile.documents import ODD_VALUES, paths, replaced, without
from klaviyo_pipeline_tests.hostile.server import chunked
from klaviyo_pipeline_tests.klaviyo.support import SHOP_ENDS
from klaviyo_pipeline_tests.sandbox.client import Client

REVISION = "2026-07-15"
ROWS = 3


@dataclass(frozen=True)
class Literal:
    """A part of a document that stands in it as it is written here, JSON or not."""

    text: str


LITERALS = tuple(
    Literal(text)
    for text in (
        "[" * 1200 + "]" * 1200, '{"a":' * 1200 + "1" + "}" * 1200, "[" * 600 + "]" * 600, "9" * 5000, "1e999",
        "-1e999", "NaN", "Infinity", "-Infinity", "-", "01", "1.", "tru", '"\\ud800"', '"\\udc00x"', '"\\u0000"', "",
        '{"a":1,"a":2}', '"\x07"', "18446744073709551616", "-0.0", '"open', "[1,]", "{,}",
    )
)  # fmt: skip


@functools.cache
def _sandbox() -> Sandbox:
    options = SandboxOptions(seed=3, profiles=20, events=60, days=5, until=SHOP_ENDS, lists=2, templates=4, campaigns=4)
    return Sandbox(Store(generate_shop(options)), ServerOptions(rate_limits=False))


@functools.cache
def page(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A short page of a source with all its options, and the constants of its stream."""
    source, store = CORE[name], _sandbox().store
    if source.fan_out is None:
        stream = streams_of(source, REVISION, None)[0]
    else:
        parent = next(iter(store.lists if source.fan_out.parent == "lists" else store.events)).id
        single = source.fan_out.key is not None
        (stream,) = streams_of_parents(source, [parent], None, single=single, may_vanish=False)
    request = first_request(source, stream, TimeSlice(None, None), frozenset(source.option_names), REVISION, None)
    document = Client(_sandbox(), revision=REVISION).get(request.target).json
    if isinstance(document["data"], list):
        document["data"] = document["data"][:ROWS]
    return document, dict(stream.constants)


def written(value: Any) -> str:
    """A document's text, with literals as they stand."""
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


odd_values = st.sampled_from(ODD_VALUES + LITERALS)
sources = st.sampled_from(tuple(CORE))


@st.composite
def documents(draw: st.DrawFn, name: str) -> Any:
    """A page of a source with up to three parts replaced, removed or added."""
    document: Any = page(name)[0]
    for _change in range(draw(st.integers(0, 3))):
        found = list(paths(document))
        path = draw(st.sampled_from(found))
        what = draw(st.sampled_from(("replace", "replace", "remove", "add")))
        if what == "add":
            path = (*path, draw(st.sampled_from(("id", "new", "attributes", "next", 'odd"name\\', "x" * 300))))
            parent = functools.reduce(lambda value, step: value[step], path[:-1], document)
            if not isinstance(parent, dict):
                continue
        is_removed = what == "remove" and path
        document = without(document, path) if is_removed else replaced(document, path, draw(odd_values))
    return document


def bodies(name: str) -> st.SearchStrategy[bytes]:
    """A page's bytes: usually as the document is written, now and then changed."""
    return st.builds(
        _changed,
        documents(name).map(lambda document: written(document).encode("utf-8", "surrogatepass")),
        st.sampled_from(("", "", "", "", "cut", "flip", "insert", "bom", "utf-16", "twice", "html", "latin")),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=4),
    )


def _changed(body: bytes, how: str, where: float, some: bytes) -> bytes:
    at = int(where * max(1, len(body)))
    return {
        "": body,
        "cut": body[:at],
        "flip": body[:at] + bytes([(body[at : at + 1] or b"\0")[0] ^ some[0]]) + body[at + 1 :],
        "insert": body[:at] + some + body[at:],
        "bom": b"\xef\xbb\xbf" + body,
        "utf-16": body.decode("utf-8", "replace").encode("utf-16", "surrogatepass"),
        "twice": body + body,
        "html": b"<html>" + body,
        "latin": body + "é".encode("latin-1"),
    }[how]


numbers = st.sampled_from(
    ("0", "-1", "1", "2.5", "1e300", "inf", "nan", "9" * 400, "0x10", "", " ", "1, 2", "٣")
)  # fmt: skip
dates = st.sampled_from(
    ("Fri, 20 Nov 2026 10:00:00 GMT", "Fri, 20 Nov 99999 10:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "soon",
     "Fri, 20 Nov 2020 10:00:00 +9999999999", "Fri, 31 Dec 9999 23:59:59 -2359")
)  # fmt: skip
policies = st.lists(
    st.builds("{};w={}".format, numbers | st.integers(-1, 10**31), numbers | st.sampled_from(("1", "60", "86400"))),
    max_size=4,
).map(", ".join)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": numbers | dates,
        "Date": dates,
        "RateLimit-Limit": st.builds("{}, {}".format, numbers, policies),
        "RateLimit-Remaining": numbers,
        "RateLimit-Reset": numbers,
        "X-Klaviyo-API-Revision": st.sampled_from(("2025-01-15", "9999-12-31", "../", "; DROP TABLE", "2" * 70_000)),
        "Content-Type": st.sampled_from(("text/html", "application/json; charset=utf-16", "x" * 1000)),
        "Set-Cookie": st.sampled_from(("a=b; expires=Fri, 99 Foo 2026", "=;;==", "a=" + "b" * 5000)),
        "Location": st.sampled_from(("http://elsewhere.test/", "//[", "\x07")),
        "Connection": st.sampled_from(("close", "upgrade", "keep-alive")),
        "X Odd": st.just("name"),
        "": st.just("nothing"),
    },
)
statuses = st.sampled_from(
    ("200 OK",) * 8
    + ("204 No Content", "206 Partial", "301 Moved", "304 Same", "400 Bad", "401 Who", "403 No", "404 Gone", "410 Old",
       "429 Slow", "500 Oops", "503 Busy", "999 Denied", "abc", "", "99 Low")
)  # fmt: skip


FRAMINGS = (
    "right", "right", "right", "none", "chunks", "chunks", "short", "long", "-5", "x", "1, 2", "9" * 5000,
    "bad chunk", "chunk -1",
)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn, name: str) -> bytes:
    """What goes over the wire: a page, packed, framed and headed, each in a right or a wrong way."""
    body = draw(bodies(name))
    given = dict(draw(headers))
    packing = draw(st.sampled_from(("", "", "", "gzip", "deflate", "twice", "members", "cut", "lie", "br")))
    body, encoding = {
        "": (body, None),
        "gzip": (gzip.compress(body, mtime=0), "gzip"),
        "deflate": (zlib.compress(body), "deflate"),
        "twice": (gzip.compress(gzip.compress(body)), "gzip, gzip"),
        "members": (gzip.compress(body[:9]) + gzip.compress(body[9:]) + b"\0" * 9, "gzip"),
        "cut": (gzip.compress(body)[:-5], "gzip"),
        "lie": (body, "gzip"),
        "br": (body, "br"),
    }[packing]
    if encoding:
        given["Content-Encoding"] = encoding
    framing = draw(st.sampled_from(FRAMINGS))
    if framing in {"right", "short", "long"}:
        given["Content-Length"] = str(max(0, len(body) + {"right": 0, "short": -3, "long": 3}[framing]))
    elif framing.startswith("chunk"):
        given["Transfer-Encoding"] = "chunked"
        body = b"-1\r\n" + body if framing == "chunk -1" else chunked(body, draw(st.integers(1, 50)), 1000)
    elif framing == "bad chunk":
        given["Transfer-Encoding"] = "chunked"
        body = chunked(body, 7).replace(b"7\r\n", draw(st.sampled_from((b"zz\r\n", b"-5\r\n", b"f" * 90 + b"\r\n"))), 1)
    elif framing != "none":
        given["Content-Length"] = framing
    lines = [f"HTTP/1.1 {draw(statuses)}", *(f"{header}: {value}" for header, value in given.items())]
    interim = draw(st.sampled_from((b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n")))
    return interim + "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body
