"""The definitions of a Klaviyo account for a Dagster project of your own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from klaviyo_pipeline import environment, grammar
from klaviyo_pipeline.accounts.parts import AccountParts
from klaviyo_pipeline.built_in import guest_definitions
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.account import RESOURCES, KlaviyoTranslator, Naming
from klaviyo_pipeline.orchestration.choices import Choices
from klaviyo_pipeline.orchestration.names import may_be_a_name
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource

__all__ = ["KlaviyoTranslator", "build_definitions"]


def build_definitions(
    *,
    account: str = "klaviyo",
    api_key: str | None = None,
    base_url: str | None = None,
    database: str | None = None,
    schema: str | None = None,
    timezone: str | None = None,
    first_day: str | None = None,
    sources: Sequence[str] | None = None,
    key_prefix: str | Sequence[str] | None = None,
    group: str | None = None,
    owners: Sequence[str] | None = None,
    resource_keys: Mapping[str, str] | None = None,
    automation: bool | None = None,
    privacy: str | Mapping[str, Any] | None = None,
    overview: bool = False,
    executor: bool = False,
    translator: KlaviyoTranslator | None = None,
) -> dg.Definitions:
    """The assets, checks, jobs, schedules, sensors and resources of an account, to merge into your own definitions.

    ``dg.Definitions.merge(yours, build_definitions(account="brand_us"))``. The names begin with the account, and so
    do the keys of the resources, so that your ``io_manager``, ``duckdb`` and executor stay yours. For several accounts,
    call it once for each, with a different name and a different ``api_key``.

    Args:
        account: A name of letters, digits and underscores.
        api_key: Pass ``dg.EnvVar("…")``, which a run reads when it needs the key. Default: ``KLAVIYO_API_KEY``.
        base_url: Klaviyo's address. Default: ``KLAVIYO_BASE_URL``.
        database: The DuckDB file. Default: ``KLAVIYO_DUCKDB_PATH``.
        schema: The schema of the tables. Default: the account's name. The schema of analytics is this one with
            ``_analytics`` behind it.
        timezone: The storage time zone, an IANA name: when days begin. Default: ``KLAVIYO_TIMEZONE``.
        first_day: The first partition, YYYY-MM-DD, in the storage time zone. Default: ``KLAVIYO_PARTITION_START``.
        sources: Data sources, as in ``KLAVIYO_SOURCES``. Default: that variable.
        key_prefix: Begins the asset keys. Default: the account's name.
        group: The group of the assets. Default: the account's name.
        owners: Owners of the assets, ``team:name`` or mail addresses. Default: ``KLAVIYO_OWNERS``.
        resource_keys: Other keys for ``klaviyo``, ``duckdb`` and ``io_manager``. Default: the account's name, and
            that name with ``_duckdb`` and ``_io_manager`` behind it.
        automation: Whether schedules, sensors and automation conditions are on. Default: ``KLAVIYO_AUTOMATION``.
        privacy: Privacy rules: a preset such as ``pseudonymous``, or a mapping of columns to rules. Default:
            ``KLAVIYO_PRIVACY``.
        overview: Also give the definitions a status and a report of the account's tables, as assets, and a sensor that
            sends alerts about them. Where alerts go is set by ``KLAVIYO_ALERT_WEBHOOK`` and the variables beside it.
        executor: Also give the definitions an in-process executor, which loads faster than a process for each asset.
            Merge such definitions only with those that have no executor.
        translator: Decides keys, groups, descriptions, tags and owners for each data source.

    Raises:
        ConfigurationError: if an argument, or the environment variable in its place, has a wrong value.
    """
    _check_name(account, "account")
    keys = _resource_keys(account, resource_keys or {})
    prefix = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix or (account,))
    if not all(prefix):
        raise ConfigurationError("key_prefix has a blank part. Give it text, or leave it out.")
    naming = Naming(
        account=account,
        guest=True,
        key_prefix=prefix,
        group=group or account,
        choices=Choices(
            automation=automation,
            owners=tuple(grammar.owners(",".join(owners), "owners").split(",")) if owners else None,
            sources=tuple(grammar.sources(",".join(sources), "sources").split(",")) if sources is not None else None,
        ),
        resource_keys=keys,
        translator=translator or KlaviyoTranslator(),
    )
    rules = environment.PRIVACY.parse(json.dumps(privacy), "privacy") if privacy is not None else ""
    zone = grammar.zone(timezone, "timezone") if timezone else environment.TIMEZONE.value
    start = grammar.day(first_day, "first_day") if first_day else environment.PARTITION_START.value
    parts = AccountParts(
        name=account,
        naming=naming,
        klaviyo=KlaviyoResource(api_key=api_key or "", base_url=base_url or "", privacy=rules),
        duckdb=KlaviyoDuckDBResource(
            database=database or "", schema_name=grammar.schema(schema or account, "schema"), timezone=zone
        ),
        first_day=start,
    )
    defs = guest_definitions(parts, overview=overview)
    return dg.Definitions.merge(defs, dg.Definitions(executor=dg.in_process_executor)) if executor else defs


def _check_name(name: str, what: str) -> None:
    if not may_be_a_name(name):
        raise ConfigurationError(
            f"{what} is {name!r}. Use letters, digits and underscores, and no word that Dagster reserves."
        )


def _resource_keys(account: str, given: Mapping[str, str]) -> dict[str, str]:
    if unknown := sorted(given.keys() - set(RESOURCES)):
        raise ConfigurationError(f"resource_keys has {', '.join(unknown)}. Allowed are {', '.join(RESOURCES)}.")
    keys = {name: account if name == "klaviyo" else f"{account}_{name}" for name in RESOURCES} | dict(given)
    for name, key in keys.items():
        _check_name(key, f"resource_keys[{name!r}]")
    if len(set(keys.values())) < len(keys):
        raise ConfigurationError("resource_keys gives one key to several resources. Each needs its own.")
    return keys
