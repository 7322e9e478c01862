"""The data sources that most tests use: they have every way of reading, and the sandbox's history has all of them."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue import registry
from klaviyo_pipeline.klaviyo.catalogue.model import Source

CORE: dict[str, Source] = {name: registry.SOURCES[name] for name in registry.CORE}
