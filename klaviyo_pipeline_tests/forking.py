"""Processes that start with this project and Dagster imported: they fork from one that imported both, once."""

from __future__ import annotations

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
# A process has one such server, and the names of the last call count: all tests that fork have theirs here.
PROCESSES.set_forkserver_preload(
    ["klaviyo_pipeline_tests.truth.killed", "klaviyo_pipeline_tests.orchestration.conftest"]
)
