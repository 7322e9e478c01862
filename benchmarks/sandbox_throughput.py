"""How fast the sandbox answers: it must never be what a benchmark of the client measures.

Starts a sandbox process without rate limits, reads pages from it over one or more plain sockets, following
`links.next` unparsed, and prints pages a second, rows a second and the server's own processor seconds.

    python benchmarks/sandbox_throughput.py [--events 100000] [--profiles 50000] [--connections 2]
"""

import argparse
import http.client
import re
import threading
import time
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]

from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import SandboxProcess, sandbox_process

_NEXT = re.compile(rb'"next":"([^"]+)"')
_HEADERS = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}


def read_all(url: str, path: str, pages: list[int]) -> None:
    """Read a collection to its last page."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    following: str | None = path
    while following is not None:
        connection.request("GET", following, headers=_HEADERS)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(body[:500])
        pages.append(len(body))
        found = _NEXT.search(body, len(body) - 4000 if len(body) > 4000 else 0)
        following = found[1].decode().removeprefix(url) if found else None


def measure(sandbox: SandboxProcess, name: str, path: str, connections: int) -> None:
    """Read a collection over so many connections at once and print how fast that was."""
    process = psutil.Process(sandbox.pid)
    pages: list[int] = []
    read_all(sandbox.url, path, [])
    processor, started = sum(process.cpu_times()[:2]), time.perf_counter()
    threads = [threading.Thread(target=read_all, args=(sandbox.url, path, pages)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, used = time.perf_counter() - started, sum(process.cpu_times()[:2]) - processor
    print(
        f"{name:28} {len(pages):6} pages {len(pages) / seconds:8.0f} pages/s "
        f"{len(pages) / max(used, 0.01):8.0f} pages per server CPU second "
        f"{sum(pages) / seconds / 1e6:7.0f} MB/s"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--profiles", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=2)
    given = parser.parse_args()
    started = time.perf_counter()
    generate_shop(SandboxOptions(profiles=given.profiles, events=given.events))
    print(f"generated in {time.perf_counter() - started:.1f} s")
    sizes = ("--events", str(given.events), "--profiles", str(given.profiles))
    with sandbox_process("--no-rate-limits", *sizes) as sandbox:
        resident = psutil.Process(sandbox.pid).memory_info().rss
        print(f"server holds {resident / 1e6:.0f} MB")
        for name, path in (
            ("events, 1000 a page", "/api/events?page%5Bsize%5D=1000&sort=datetime"),
            ("events, 200 a page", "/api/events?page%5Bsize%5D=200&sort=datetime"),
            ("events, metric and profile", "/api/events?page%5Bsize%5D=1000&include=metric%2Cprofile"),
            ("profiles, 100 a page", "/api/profiles?page%5Bsize%5D=100"),
            (
                "profiles, of some years",
                "/api/profiles?page%5Bsize%5D=100&sort=created"
                "&filter=greater-than(created,2012-01-01T00:00:00Z),less-than(created,2030-01-01T00:00:00Z)",
            ),
            (
                "profiles, subscriptions",
                "/api/profiles?page%5Bsize%5D=100&additional-fields%5Bprofile%5D=subscriptions",
            ),
        ):
            measure(sandbox, name, path, given.connections)


if __name__ == "__main__":
    main()
