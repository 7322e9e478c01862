"""A process that sends requests as fast as it may, with four threads: ``reader_process URL KEY REQUESTS``.

It begins when its input says so.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from klaviyo_pipeline import environment
from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request

REQUEST = Request("/api/metrics", "metrics", MEDIUM, "Metrics")


def main(url: str, key: str, requests: int) -> None:
    client = KlaviyoClient(key, base_url=url, coordination=environment.coordination())
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(4) as threads:
        for answer in [threads.submit(client.get_json, REQUEST) for _ in range(requests)]:
            answer.result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
