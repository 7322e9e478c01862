"""The small shop and empty database of the orchestration tests, and the project's definitions over both."""

from __future__ import annotations

from klaviyo_pipeline_tests.orchestration.conftest import world

__all__ = ["world"]
