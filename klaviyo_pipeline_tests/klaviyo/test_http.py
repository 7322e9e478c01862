"""The transport against servers that misbehave on the wire: cut-off bodies, resets, silence."""

import gzip
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.client.transport import Http, TransportError
from klaviyo_pipeline.klaviyo.errors import UnavailableError
from klaviyo_pipeline_tests.hostile.server import BODY, WireServer, answer, hangs_up, resets, says


@pytest.fixture
def server() -> Iterator[WireServer]:
    made = WireServer()
    yield made
    made.close()


def http(url: str) -> Http:
    return Http(url, "pk_wire", "2026-07-15", ClientSettings())


def test_answer_when_whole_then_has_status_headers_and_body(server: WireServer) -> None:
    server.then(says(answer(BODY, "X-Klaviyo-API-Revision: 2026-07-15", status="418 Teapot")))
    answered = http(server.url).send("/api/metrics")
    assert (answered.status, answered.body) == (418, BODY)
    assert answered.headers["x-klaviyo-api-revision"] == "2026-07-15"


def test_answer_when_compressed_then_is_unpacked(server: WireServer) -> None:
    server.then(says(answer(gzip.compress(BODY * 1000, mtime=0), "Content-Encoding: gzip")))
    assert http(server.url).send("/api/metrics").body == BODY * 1000


def test_answer_when_chunked_then_is_joined(server: WireServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.then(says(head + b"6\r\n" + BODY[:6] + b"\r\n5\r\n" + BODY[6:] + b"\r\n0\r\n\r\n"))
    assert http(server.url).send("/api/metrics").body == BODY


CUT_OFF = {
    "body": answer(BODY[:4], length=len(BODY)),
    "gzip": answer(gzip.compress(os.urandom(5000), mtime=0)[:3000], "Content-Encoding: gzip", length=5023),
    "not gzip at all": answer(BODY, "Content-Encoding: gzip"),
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"b\r\n" + BODY[:3],
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"b\r\n" + BODY + b"\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("what", sorted(CUT_OFF))
def test_answer_when_cut_off_then_is_no_answer(what: str, server: WireServer) -> None:
    server.then(says(CUT_OFF[what]))
    with pytest.raises(TransportError):
        http(server.url).send("/api/metrics")


def test_connection_when_reset_then_error_says_so(server: WireServer) -> None:
    server.then(resets)
    with pytest.raises(TransportError, match=r"(?i)reset|abort"):
        http(server.url).send("/api/metrics")


@pytest.fixture
def impatient(no_waiting: None) -> ClientSettings:
    return ClientSettings(retry_limit=2, initial_retry_wait_s=0.001, read_timeout_s=0.1, write_timeout_s=0.1)


@pytest.mark.parametrize("sent_first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"])
def test_answer_when_it_does_not_come_then_error_names_the_read_timeout(
    sent_first: bytes, server: WireServer, impatient: ClientSettings
) -> None:
    def stalls(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(sent_first)
        server.released.wait()

    server.then(stalls)
    with pytest.raises(TransportError, match=r"read_timeout_s"):
        Http(server.url, "pk_wire", "2026-07-15", impatient).send("/api/metrics")


def test_request_when_it_can_not_be_sent_then_error_names_the_write_timeout(
    server: WireServer, impatient: ClientSettings
) -> None:
    server.then(lambda _connection: server.released.wait() and None)
    with pytest.raises(TransportError, match=r"write_timeout_s"):
        Http(server.url, "pk_wire", "2026-07-15", impatient).send("/api/metrics", b"x" * 50_000_000)


def test_read_timeout_when_a_request_was_sent_then_is_not_the_write_timeout(
    server: WireServer, no_waiting: None
) -> None:
    def answers_late(connection: socket.socket) -> None:
        connection.recv(65536)
        server.released.wait(0.2)
        connection.sendall(answer(BODY))

    server.then(answers_late)
    patient = ClientSettings(write_timeout_s=0.05, connect_timeout_s=0.05, read_timeout_s=30)
    assert Http(server.url, "pk_wire", "2026-07-15", patient).send("/api/metrics").body == BODY


def test_connection_when_the_server_keeps_it_then_is_used_again_by_its_thread_only(server: WireServer) -> None:
    def serves(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(answer(BODY))

    server.then(serves)
    shared = http(server.url)
    for _ in range(3):
        shared.send("/api/metrics")
    assert server.accepted == 1
    other = threading.Thread(target=shared.send, args=("/api/metrics",))
    other.start()
    other.join()
    assert server.accepted == 2


def test_client_when_cut_off_reset_and_hung_up_on_then_retries_until_answered(
    server: WireServer, no_waiting: None
) -> None:
    server.then(says(CUT_OFF["body"]), resets, hangs_up, says(answer(BODY)))
    client = KlaviyoClient("pk_wire", ClientSettings(initial_retry_wait_s=0.001), base_url=server.url)
    assert client.get_json(Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics")) == {"data": []}
    assert (server.accepted, client.traffic.retries) == (4, 3)


@pytest.mark.parametrize(
    "looks_whole",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        answer(gzip.compress(BODY, mtime=0)[:15], "Content-Encoding: gzip"),
        answer(BODY[:-1]),
    ],
    ids=["headers", "gzip", "body"],
)
def test_client_when_only_the_page_shows_that_it_was_cut_off_then_retries(
    looks_whole: bytes, server: WireServer, no_waiting: None
) -> None:
    server.then(says(looks_whole), says(answer(BODY)))
    client = KlaviyoClient("pk_wire", ClientSettings(initial_retry_wait_s=0.001), base_url=server.url)
    assert client.get_json(Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics")) == {"data": []}
    assert client.traffic.retries == 1


def test_client_when_always_cut_off_then_message_names_the_page(server: WireServer, impatient: ClientSettings) -> None:
    server.then(says(CUT_OFF["body"]))
    client = KlaviyoClient("pk_wire", impatient, base_url=server.url)
    with pytest.raises(UnavailableError, match=r"after 3 attempts.*/api/metrics\?x=1"):
        client.get_json(Request("/api/metrics?x=1", "/api/metrics", MEDIUM, "Metrics"))


def test_redirect_when_answered_then_is_not_followed(server: WireServer) -> None:
    server.then(says(answer(b"", f"Location: {server.url}/elsewhere", status="302 Found")))
    assert http(server.url).send("/api/metrics").status == 302
    assert server.accepted == 1


def test_key_when_an_http_object_is_shown_then_is_not_in_it(tmp_path: Path) -> None:
    shown = http("http://x.test")
    assert "pk_wire" not in repr(shown) + str(shown)
