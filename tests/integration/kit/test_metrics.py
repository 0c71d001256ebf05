"""Metrics of a service with several processes: each process reports the totals of all."""

import re

import urllib3
from servers import service


def _count(url):
    text = urllib3.request("GET", f"{url}/metrics", retries=False).data.decode()
    pattern = r'^pika_http_requests_total\{[^}]*route="/docs"[^}]*\} ([0-9.]+)$'
    counts = re.findall(pattern, text, re.MULTILINE)
    return sum(map(float, counts))


def test_several_processes_add_up(stack_environment, store, tmp_path):
    environment = stack_environment | {"PIKA_WEB_PROCESSES": "3", "PIKA_WEB_THREADS": "4"}
    with service("scraper", environment, tmp_path) as url:
        for _ in range(60):
            # Each on a new connection, so that all processes get some.
            with urllib3.PoolManager(headers={"Connection": "close"}) as pool:
                pool.request("GET", f"{url}/docs", redirect=False, retries=False)
        assert [_count(url) for _ in range(10)] == [60.0] * 10
    # Files of an earlier run do not count.
    with service("scraper", environment, tmp_path) as url:
        assert _count(url) == 0
