"""The transport against servers that want it to wait for ever, to take everything, or to fail in its own words."""

import gzip
import resource
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.client import bounded
from klaviyo_pipeline.klaviyo.client import settings as settings_module
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS, ClientSettings, Setting
from klaviyo_pipeline.klaviyo.client.transport import Http, TransportError
from klaviyo_pipeline.klaviyo.errors import KlaviyoError, RequestRefusedError, UnavailableError
from klaviyo_pipeline.orchestration.automation import webhook
from klaviyo_pipeline_tests.hostile import server as hostile
from klaviyo_pipeline_tests.hostile.server import BODY, Handler, WireServer, answer, chunked, endless, head, says

REQUEST = Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics")
MEGABYTE = 2**20


@pytest.fixture
def server() -> Iterator[WireServer]:
    yield from hostile.serving()


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClientSettings]:
    """Makes settings below the documented bounds, so that a test need not wait."""
    for name in SETTINGS:
        monkeypatch.setitem(
            settings_module.SETTINGS, name, Setting(SETTINGS[name].default, 0.001, SETTINGS[name].maximum, "")
        )

    def make(**changes: Any) -> ClientSettings:
        quick = {"retry_limit": 1, "initial_retry_wait_s": 0.001, "max_page_mb": 1, "total_timeout_s": 0.3}
        return ClientSettings(**(quick | changes))

    return make


def send(server: WireServer, settings: ClientSettings) -> Any:
    return Http(server.url, "pk_wire", "2026-07-15", settings).send("/api/metrics")


# Time


DRIBBLED = {
    "status line": b"HTTP/1.1 200 OK and more ",
    "header": b"X-Padding: yes\r\n",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n",
    "body": b" ",
    "chunks": b"1\r\n \r\n",
    "chunk extension": b"x",
}
BEFORE = {
    "header": b"HTTP/1.1 200 OK\r\n",
    "body": head("Content-Length: 100000"),
    "chunks": head("Transfer-Encoding: chunked"),
    "chunk extension": head("Transfer-Encoding: chunked") + b"1;",
}


@pytest.mark.parametrize("where", sorted(DRIBBLED))
def test_answer_when_each_byte_is_in_time_but_there_is_no_end_then_total_timeout_ends_it(
    where: str, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    def handler(connection: Any) -> None:
        connection.recv(65536)
        connection.sendall(BEFORE.get(where, b""))
        hostile.drip(connection, DRIBBLED[where], server)

    server.then(handler)
    with pytest.raises(TransportError, match=r"no whole answer within total_timeout_s \(0\.3 s\)"):
        send(server, tight(read_timeout_s=30))


def test_read_timeout_when_shorter_than_the_total_then_is_the_one_that_is_named(
    server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    def stalls(connection: Any) -> None:
        connection.recv(65536)
        connection.sendall(head("Content-Length: 100000"))
        server.released.wait()

    server.then(stalls)
    with pytest.raises(TransportError, match=r"read_timeout_s"):
        send(server, tight(read_timeout_s=0.05, total_timeout_s=30))


def test_total_timeout_when_a_connection_is_kept_then_begins_anew_with_each_request(
    server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    def serves(connection: Any) -> None:
        while connection.recv(65536):
            server.released.wait(0.12)
            connection.sendall(answer(BODY))

    server.then(serves)
    http = Http(server.url, "pk_wire", "2026-07-15", tight(total_timeout_s=0.3))
    assert [http.send("/api/metrics").body for _ in range(4)] == [BODY] * 4
    assert server.accepted == 1


# Size


ENDLESS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a header line": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000),
    "a status line": (b"HTTP/1.1 200 ", b"OK" * 1000),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100),
    "switching protocols": (b"", b"HTTP/1.1 101 Switching Protocols\r\n\r\n" * 100),
    "a body without a length": (head(), b" " * 65536),
    "a body with a length beyond memory": (head(f"Content-Length: {10**15}"), b" " * 65536),
    "chunks": (head("Transfer-Encoding: chunked"), b"1000\r\n" + b" " * 4096 + b"\r\n"),
    "a chunk beyond memory": (head("Transfer-Encoding: chunked") + b"fffffffffffffff\r\n", b" " * 65536),
    "a chunk of a negative size": (head("Transfer-Encoding: chunked") + b"-1\r\n", b" " * 65536),
    "a chunk extension": (head("Transfer-Encoding: chunked") + b"5;", b"x" * 65536),
    "trailers": (head("Transfer-Encoding: chunked") + b"0\r\n", b"X: y\r\n" * 100),
}


@pytest.mark.parametrize("what", sorted(ENDLESS))
def test_answer_when_something_in_it_never_ends_then_is_given_up_after_its_cap(
    what: str, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    server.then(endless(*ENDLESS[what]))
    with pytest.raises(UnavailableError, match=r"after 2 attempts"):
        KlaviyoClient("pk_wire", tight(total_timeout_s=60), base_url=server.url).get_json(REQUEST)
    assert server.accepted == 2


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip": (lambda: hostile.bomb(64), "gzip"),
    "gzip in members": (lambda: hostile.bomb(64, 16), "gzip"),
    "deflate": (lambda: zlib.compress(bytes(64 * MEGABYTE)), "deflate"),
    "raw deflate": (lambda: zlib.compress(bytes(64 * MEGABYTE), wbits=-15), "deflate"),
    "gzip in gzip": (lambda: gzip.compress(hostile.bomb(64)), "gzip, gzip"),
    "many empty members": (lambda: gzip.compress(b"", mtime=0) * 20_000, "gzip"),
    "brotli": (lambda: b"\x1b\xff\xff\xff", "br"),
    "zstd": (lambda: b"\x28\xb5\x2f\xfd", "zstd"),
    "unknown": (lambda: BODY, "pack200"),
}


@pytest.mark.parametrize("what", sorted(BOMBS))
def test_body_when_it_unpacks_to_more_than_a_page_may_have_then_is_given_up(
    what: str, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    packed, encoding = BOMBS[what]
    server.then(says(answer(packed(), f"Content-Encoding: {encoding}")))
    with pytest.raises(TransportError, match=r"max_page_mb|content encoding|gzip members"):
        send(server, tight())


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_body_when_a_megabyte_would_unpack_to_a_gigabyte_then_takes_no_more_memory_than_the_cap(
    server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    member = gzip.compress(bytes(64 * MEGABYTE), mtime=0)
    server.then(says(answer(member * 16, "Content-Encoding: gzip")))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TransportError, match=r"more than 2 MB"):
        send(server, tight(max_page_mb=2))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 64 * 1024


@pytest.mark.parametrize("packed", [False, True])
def test_body_when_exactly_as_large_as_allowed_then_is_taken(
    packed: bool, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    body = b'{"data":[]}'.ljust(MEGABYTE)
    for size, taken in ((MEGABYTE, True), (MEGABYTE + 1, False)):
        sent = gzip.compress(body.ljust(size), mtime=0) if packed else body.ljust(size)
        server.then(says(answer(sent, *(["Content-Encoding: gzip"] if packed else []))))
        if taken:
            assert send(server, tight(total_timeout_s=30)).body == body
        else:
            with pytest.raises(TransportError, match=r"more than 1 MB"):
                send(server, tight(total_timeout_s=30))


UNPACKED = {
    "members": (gzip.compress(BODY[:5], mtime=0) + gzip.compress(BODY[5:], mtime=0), "gzip"),
    "padding": (gzip.compress(BODY, mtime=0) + bytes(512), "gzip"),
    "x-gzip": (gzip.compress(BODY, mtime=0), "X-GZIP"),
    "deflate": (zlib.compress(BODY), "deflate"),
    "raw deflate": (zlib.compress(BODY, wbits=-15), "deflate"),
    "identity": (BODY, "identity"),
}


@pytest.mark.parametrize("what", sorted(UNPACKED))
def test_body_when_packed_in_a_way_that_servers_use_then_is_unpacked(
    what: str, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    packed, encoding = UNPACKED[what]
    server.then(says(head("Transfer-Encoding: chunked", f"Content-Encoding: {encoding}") + chunked(packed, 1, 7)))
    assert send(server, tight(total_timeout_s=30)).body == BODY


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_error_body_when_huge_then_only_its_beginning_is_read(
    encoding: str, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    body = b"<html>" + bytes(3 * MEGABYTE)
    packed = gzip.compress(body, mtime=0) if encoding else body
    server.then(says(answer(packed, f"Content-Encoding: {encoding}", status="503 Busy")))
    answered = send(server, tight(total_timeout_s=30))
    assert (answered.status, len(answered.body)) == (503, bounded.ERROR_BYTES)


# What the libraries would say


ODD = {
    "no status": b"HTTP/1.1\r\n\r\n",
    "status in words": b"HTTP/1.1 two hundred\r\n\r\n",
    "status of six digits": b"HTTP/1.1 200000 OK\r\n\r\n",
    "negative status": b"HTTP/1.1 -20 OK\r\n\r\n",
    "another version": b"HTTP/9.9 200 OK\r\n\r\n{}",
    "control characters": b"\x00\x1b[2J\r\n\r\n",
    "101 headers": head(*(f"X{i}: y" for i in range(101))) + BODY,
    "two lengths": head("Content-Length: 5", "Content-Length: 6") + BODY,
    "a length of 5,000 digits": head("Content-Length: " + "9" * 5000),
    "a chunk size in words": head("Transfer-Encoding: chunked") + b"many\r\nx\r\n0\r\n\r\n",
    "a chunk of size -5": head("Transfer-Encoding: chunked") + b"-5\r\nx\r\n0\r\n\r\n",
    "a chunk size of 5,000 digits": head("Transfer-Encoding: chunked") + b"f" * 5000 + b"\r\nx\r\n0\r\n\r\n",
    "a revision of a megabyte": head("X-Klaviyo-API-Revision: " + "2" * MEGABYTE) + BODY,
    "not gzip": answer(BODY, "Content-Encoding: gzip"),
    "gzip cut off": answer(gzip.compress(BODY)[:-9], "Content-Encoding: gzip"),
    "deflate of nothing": answer(b"\x78", "Content-Encoding: deflate"),
    "no content": head("Content-Length: 0", status="204 No Content"),
    "partial content": answer(BODY, status="206 Partial Content"),
    "not modified": head(status="304 Not Modified"),
    "an unknown status": answer(BODY, status="999 Denied"),
    "a version of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("what", sorted(ODD))
def test_answer_when_it_is_no_http_as_it_should_be_then_is_retried_and_reported_as_unavailable(
    what: str, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    server.then(says(ODD[what]))
    with pytest.raises(UnavailableError, match=r"after 2 attempts") as given_up:
        KlaviyoClient("pk_wire", tight(total_timeout_s=30), base_url=server.url).get_json(REQUEST)
    assert server.accepted == 2
    assert str(given_up.value).isprintable()
    assert len(str(given_up.value)) < 1000


FOREIGN = answer(b'{"data":["foreign"]}')
FOLLOWED = {
    "a second answer": answer(BODY) + FOREIGN,
    "a second answer within the body": answer(BODY + FOREIGN, length=len(BODY)),
    "many answers within a large body": answer(BODY.ljust(300_000) + FOREIGN * 2000, length=300_000),
    "an answer after one without a body": head("Content-Length: 60", status="204 No Content") + FOREIGN,
    "an answer after one that is not modified": head(status="304 Not Modified") + FOREIGN,
    "an answer after chunks": head("Content-Length: 3", "Transfer-Encoding: chunked") + chunked(BODY, 4) + FOREIGN,
}


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("what", sorted(FOLLOWED))
def test_connection_when_more_than_the_answer_comes_then_it_is_never_taken_for_the_next_answer(
    what: str, is_late: bool, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    """A kept connection: what was not asked for must not become the page of another collection."""
    sent, done = FOLLOWED[what], threading.Event()

    def serves(connection: Any) -> None:
        while request := connection.recv(65536):
            path = request.split()[1]
            if path == b"/first":
                before = len(sent) - len(FOREIGN) if is_late else len(sent)
                connection.sendall(sent[:before])
                if is_late:
                    taken.wait(30)
                    connection.sendall(sent[before:])
                done.set()
            else:
                connection.sendall(answer(b'{"data":["%s"]}' % path))

    taken = threading.Event()
    server.then(serves)
    http = Http(server.url, "pk_wire", "2026-07-15", tight(total_timeout_s=30))
    http.send("/first")
    taken.set()
    assert done.wait(30)
    assert http.send("/second").body == b'{"data":["/second"]}'


@pytest.mark.parametrize("location", ["http://\xff\xfe/", "//[", "", "http://elsewhere.test/" + "x" * 60000])
def test_redirect_when_it_leads_anywhere_then_is_refused(
    location: str, server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    server.then(says(answer(b"", f"Location: {location}", status="307 Elsewhere")))
    with pytest.raises(RequestRefusedError, match=r"307"):
        KlaviyoClient("pk_wire", tight(total_timeout_s=30), base_url=server.url).get_json(REQUEST)


def test_interim_answers_when_an_answer_follows_then_are_skipped(
    server: WireServer, tight: Callable[..., ClientSettings]
) -> None:
    interim = head(status="100 Continue") + head("Link: </x>", status="103 Early Hints") + head(status="102 Processing")
    served: Handler = says(interim + answer(BODY))
    server.then(served)
    assert send(server, tight(total_timeout_s=30)).body == BODY


def test_proxy_when_it_never_ends_its_answer_then_the_same_bounds_hold(
    server: WireServer, tight: Callable[..., ClientSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.then(endless(b"HTTP/1.1 200 Connection established\r\n", b"X: y\r\n"))
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "")
    client = KlaviyoClient("pk_wire", tight(total_timeout_s=30), base_url="https://klaviyo.invalid")
    with pytest.raises(KlaviyoError, match=r"more bytes than allowed|more than 100 headers"):
        client.get_json(REQUEST)


@pytest.mark.parametrize("what", ["headers", "interim answers", "early hints"])
def test_webhook_when_its_answer_never_ends_then_is_given_up(what: str, server: WireServer) -> None:
    server.then(endless(*ENDLESS[what]))
    with pytest.raises(webhook.WebhookError, match=r"could not be reached"):
        webhook.post(server.url, {"text": "failed"}, lambda _seconds: None)
    assert server.accepted == webhook.ATTEMPTS


def test_webhook_when_its_answer_dribbles_then_is_given_up_in_time(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.2)

    def handler(connection: Any) -> None:
        connection.recv(65536)
        hostile.drip(connection, DRIBBLED["interim answers"], server)

    server.then(handler)
    with pytest.raises(webhook.WebhookError, match=r"could not be reached"):
        webhook.post(server.url, {"text": "failed"}, lambda _seconds: None)
