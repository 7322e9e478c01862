"""The catalogue: every data source is one declaration.

Adding Klaviyo's next collection means adding one declaration to a family's file and its name to SOURCES; the asset,
its table, its documentation and its tests follow from it.
"""

from __future__ import annotations

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.campaigns import CAMPAIGNS
from klaviyo_pipeline.klaviyo.catalogue.events import EVENT_METRICS, EVENT_PROFILES, EVENTS
from klaviyo_pipeline.klaviyo.catalogue.lists import LIST_PROFILES, LISTS
from klaviyo_pipeline.klaviyo.catalogue.metrics import METRICS
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.profiles import PROFILES
from klaviyo_pipeline.klaviyo.catalogue.templates import TEMPLATES

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        *(METRICS, EVENTS, EVENT_METRICS, EVENT_PROFILES, TEMPLATES),
        *(CAMPAIGNS, LISTS, LIST_PROFILES, PROFILES),
    )
}


def source_named(name: str) -> Source:
    """A data source by its name.

    Raises:
        ConfigurationError: naming the data sources that exist.
    """
    if name not in SOURCES:
        raise ConfigurationError(f"data source {name!r} does not exist; there are {', '.join(SOURCES)}.")
    return SOURCES[name]
