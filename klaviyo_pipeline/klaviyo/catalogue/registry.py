"""The catalogue: every data source is one declaration.

Adding Klaviyo's next collection means adding one declaration to a family's file and its name to SOURCES; the asset,
its table, its documentation and its tests follow from it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.account import ACCOUNTS, BILLING_USAGE, TRACKING_SETTINGS
from klaviyo_pipeline.klaviyo.catalogue.brands import (
    BRAND_BUTTONS,
    BRAND_COLORS,
    BRAND_EMAIL_DEFAULTS,
    BRAND_LOGOS,
    BRAND_SOCIAL_GROUPS,
)
from klaviyo_pipeline.klaviyo.catalogue.campaign_details import (
    CAMPAIGN_MESSAGE_TAGS,
    CAMPAIGN_RECIPIENT_ESTIMATES,
    CAMPAIGN_VARIATIONS,
)
from klaviyo_pipeline.klaviyo.catalogue.campaigns import CAMPAIGN_AUDIENCES, CAMPAIGN_MESSAGES, CAMPAIGN_TAGS, CAMPAIGNS
from klaviyo_pipeline.klaviyo.catalogue.catalog import (
    CATALOG_CATEGORIES,
    CATALOG_CATEGORY_ITEMS,
    CATALOG_ITEM_VARIANTS,
    CATALOG_ITEMS,
    CATALOG_VARIANTS,
)
from klaviyo_pipeline.klaviyo.catalogue.content import IMAGES, UNIVERSAL_CONTENT, WEB_FEEDS
from klaviyo_pipeline.klaviyo.catalogue.coupons import COUPON_CODE_JOBS, COUPON_CODES, COUPONS
from klaviyo_pipeline.klaviyo.catalogue.events import EVENT_ATTRIBUTIONS, EVENT_METRICS, EVENT_PROFILES, EVENTS
from klaviyo_pipeline.klaviyo.catalogue.flows import FLOW_ACTIONS, FLOW_DEFINITIONS, FLOW_MESSAGES, FLOW_TAGS, FLOWS
from klaviyo_pipeline.klaviyo.catalogue.forms import FORM_DEFINITIONS, FORM_VERSIONS, FORMS
from klaviyo_pipeline.klaviyo.catalogue.jobs import (
    CATALOG_JOBS,
    PROFILE_IMPORT_ERRORS,
    PROFILE_IMPORT_JOB_LISTS,
    PROFILE_IMPORT_JOB_PROFILES,
    PROFILE_IMPORT_JOBS,
    SUPPRESSION_JOBS,
    UNSUPPRESSION_JOBS,
)
from klaviyo_pipeline.klaviyo.catalogue.lists import LIST_COUNTS, LIST_FLOW_TRIGGERS, LIST_PROFILES, LIST_TAGS, LISTS
from klaviyo_pipeline.klaviyo.catalogue.metrics import (
    CUSTOM_METRICS,
    MAPPED_METRICS,
    METRIC_FLOW_TRIGGERS,
    METRIC_PROPERTIES,
    METRICS,
)
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.objects import (
    DATA_SOURCES,
    OBJECT_INGESTION_LOGS,
    OBJECT_RECORDS,
    OBJECT_SCHEMAS,
    OBJECT_TYPES,
    SOURCE_MAPPINGS,
)
from klaviyo_pipeline.klaviyo.catalogue.profiles import CONSENTS, CONVERSATIONS, PROFILE_PREDICTIONS, PROFILES
from klaviyo_pipeline.klaviyo.catalogue.push_tokens import PUSH_TOKENS
from klaviyo_pipeline.klaviyo.catalogue.reports import REPORTS
from klaviyo_pipeline.klaviyo.catalogue.reviews import REVIEWS
from klaviyo_pipeline.klaviyo.catalogue.segments import (
    SEGMENT_COUNTS,
    SEGMENT_FLOW_TRIGGERS,
    SEGMENT_PROFILES,
    SEGMENT_TAGS,
    SEGMENTS,
)
from klaviyo_pipeline.klaviyo.catalogue.senders import TEXT_MESSAGING_SENDERS
from klaviyo_pipeline.klaviyo.catalogue.suppressions import SUPPRESSED_PROFILES, SUPPRESSIONS
from klaviyo_pipeline.klaviyo.catalogue.tags import TAG_GROUPS, TAGS
from klaviyo_pipeline.klaviyo.catalogue.templates import TEMPLATES
from klaviyo_pipeline.klaviyo.catalogue.translations import TRANSLATION_VALUES, TRANSLATIONS
from klaviyo_pipeline.klaviyo.catalogue.webhooks import WEBHOOK_TOPICS, WEBHOOKS
from klaviyo_pipeline.similar import similar

_CORE = (METRICS, EVENTS, EVENT_METRICS, EVENT_PROFILES, TEMPLATES, CAMPAIGNS, LISTS, LIST_PROFILES, PROFILES)
_USUAL = (EVENT_ATTRIBUTIONS, ACCOUNTS, MAPPED_METRICS, CUSTOM_METRICS, SEGMENTS, FLOWS, FORMS, TAGS, TAG_GROUPS)
_OTHERS = (
    *(CAMPAIGN_MESSAGES, CAMPAIGN_AUDIENCES, FLOW_ACTIONS, FLOW_MESSAGES, CONSENTS, CONVERSATIONS),
    *(SUPPRESSIONS, PROFILE_PREDICTIONS, LIST_COUNTS, SEGMENT_COUNTS),
    *(CAMPAIGN_TAGS, FLOW_TAGS, LIST_TAGS, SEGMENT_TAGS),
    *(METRIC_FLOW_TRIGGERS, LIST_FLOW_TRIGGERS, SEGMENT_FLOW_TRIGGERS),
    *(FLOW_DEFINITIONS, FORM_DEFINITIONS, CAMPAIGN_RECIPIENT_ESTIMATES),
    *(COUPONS, UNIVERSAL_CONTENT, IMAGES),
    *(TRACKING_SETTINGS, METRIC_PROPERTIES, SEGMENT_PROFILES, FORM_VERSIONS, COUPON_CODES, COUPON_CODE_JOBS),
    *(CATALOG_ITEMS, CATALOG_ITEM_VARIANTS, CATALOG_VARIANTS, CATALOG_CATEGORIES, CATALOG_CATEGORY_ITEMS),
    *(CATALOG_JOBS, REVIEWS),
    *(PUSH_TOKENS, PROFILE_IMPORT_JOBS, PROFILE_IMPORT_ERRORS),
    *(PROFILE_IMPORT_JOB_PROFILES, PROFILE_IMPORT_JOB_LISTS),
    *(SUPPRESSION_JOBS, UNSUPPRESSION_JOBS, WEB_FEEDS, WEBHOOKS, WEBHOOK_TOPICS),
    *(DATA_SOURCES, OBJECT_TYPES, OBJECT_SCHEMAS, SOURCE_MAPPINGS, OBJECT_RECORDS, OBJECT_INGESTION_LOGS),
    *(CAMPAIGN_VARIATIONS, CAMPAIGN_MESSAGE_TAGS, TRANSLATIONS, TRANSLATION_VALUES, BILLING_USAGE),
    *(BRAND_BUTTONS, BRAND_COLORS, BRAND_LOGOS, BRAND_SOCIAL_GROUPS, BRAND_EMAIL_DEFAULTS),
    TEXT_MESSAGING_SENDERS,
    *REPORTS,
)

SOURCES: dict[str, Source] = {source.name: source for source in (*_CORE, *_USUAL, *_OTHERS)}
"""Every data source, each after those that it follows from."""

_HIDDEN = {source.name: source for source in (SUPPRESSED_PROFILES,)}

CORE = tuple(source.name for source in _CORE)
DEFAULT = (*CORE, *(source.name for source in _USUAL))
ALL = "all"
GROUPS = {"core": CORE, "default": DEFAULT}
"""Names for several data sources at once, in KLAVIYO_SOURCES; beside them ``all``."""


def children_of(parent: str, among: Iterable[str]) -> tuple[Source, ...]:
    """Those of some data sources whose rows come along with another one's, which is among them too."""
    names = set(among)
    return tuple(
        source
        for name, source in SOURCES.items()
        if name in names and source.child is not None and source.child.parent == parent and parent in names
    )


def parent_of(child: Source) -> Source:
    """The data source whose rows hold those of a child: one of the catalogue, or one that has no table of its own."""
    assert child.child is not None
    return _HIDDEN.get(child.child.parent) or SOURCES[child.child.parent]


def comes_along(source: Source, among: Collection[str]) -> bool:
    """Whether the loads of another one of these data sources bring the rows of this one."""
    return source.child is not None and source.child.parent in among


def lookback_days(source: Source) -> int:
    """How many days back a load by day reads again: its own, or those of the one it follows from."""
    return (SOURCES[source.fan_out.parent] if source.fan_out else source).lookback_days


def choose(text: str) -> tuple[str, ...]:
    """The data sources that a choice such as ``default, -forms, catalog_*`` names, in the catalogue's order.

    Each word adds data sources, or takes them away if it begins with a minus: a name, a group, ``all``, or a pattern
    with ``*``. A choice that begins with a plus or a minus begins with the default ones.

    Raises:
        ConfigurationError: for a word that names no data source, with the names that are like it; for an empty choice.
    """
    words = text.replace(",", " ").split()
    chosen = set(DEFAULT) if words and words[0][0] in "+-" else set()
    for word in words:
        meant = _meant(word.lstrip("+-"))
        chosen = chosen - meant if word.startswith("-") else chosen | meant
    if not chosen:
        raise ConfigurationError(f"{text!r} leaves no data source.")
    return tuple(name for name in SOURCES if name in chosen)


def _meant(word: str) -> set[str]:
    if word == ALL:
        return set(SOURCES)
    if word in GROUPS:
        return set(GROUPS[word])
    found = set(fnmatch.filter(SOURCES, word))
    if not found:
        raise ConfigurationError(no_source(word, [*GROUPS, ALL, *SOURCES]))
    return found


def no_source(word: str, names: Iterable[str] = ()) -> str:
    """A message that there is no data source of this name: those that are like it, or how to list all of them."""
    near = similar(word, names or SOURCES)
    hint = f"did you mean {' or '.join(near)}?" if near else "klaviyo-pipeline sources lists all of them."
    return f"there is no data source {word!r}; {hint}"


def source_named(name: str) -> Source:
    """A data source by its name.

    Raises:
        ConfigurationError: with the names that are like it.
    """
    if name not in SOURCES:
        raise ConfigurationError(no_source(name))
    return SOURCES[name]
