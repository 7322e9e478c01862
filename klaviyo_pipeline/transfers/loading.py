"""A transfer as a configured load: what its asset is built from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue import dimensions
from klaviyo_pipeline.klaviyo.catalogue.leaving_out import SETTING, without
from klaviyo_pipeline.loads.destination import Destination
from klaviyo_pipeline.orchestration.assets.spec import LoadSpec
from klaviyo_pipeline.orchestration.resources import KlaviyoResource
from klaviyo_pipeline.transfers.file.authentications import read_authentications, resolve, variable_named_in
from klaviyo_pipeline.transfers.file.model import EVENTS_TABLE, Transfer
from klaviyo_pipeline.transfers.file.reading import TransferFile
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline.yaml_files.problems import one_of

KEY_PREFIX = "transfers"
GROUP = "transfers"
TAG = "klaviyo/transfer"


def ledger_name(name: str) -> str:
    """A transfer's name in the ledger: each transfer of a data source has its own watermark."""
    return f"{KEY_PREFIX}/{name}"


def op_name(name: str) -> str:
    """What a run's config calls a transfer."""
    return f"{KEY_PREFIX}__{name}"


def spec_of(file: TransferFile) -> LoadSpec:
    """A transfer as a configured load."""
    name, transfer = file.name, file.transfer
    options = dict(transfer.options)
    begin, until = options.pop("start_time", None), options.pop("end_time", None)
    events_table = options.pop("events_table", EVENTS_TABLE)
    lands, source = transfer.destination, without(transfer.catalogued, options.get(SETTING, ()))
    source = dimensions.grouped(source, options.get(dimensions.SETTING, ()))
    if "incremental" not in options and source.takes_window:
        options["incremental"] = transfer.incremental
    follows = source.fan_out is not None and source.fan_out.batch is not None
    schedule = transfer.schedule
    return LoadSpec(
        key=dg.AssetKey([KEY_PREFIX, name]),
        source=source,
        ledger_name=ledger_name(name),
        options=options,
        begin=begin,
        until=until,
        destination=Destination(
            schema=transfer.schema_or_blank or None,
            table=lands.table or name,
            write_mode=WriteMode(lands.mode),
            partition_key=lands.partition_key or None,
            database=transfer.database_file or None,
            timezone=lands.timezone or None,
        ),
        account=account_of(transfer, f"transfer file {file.path.name}, key {'in.' if file.theirs else ''}api_token"),
        events_table=events_table if follows else None,
        one_at_a_time=True,
        pool="" if transfer.api_token else transfer.authentication or "",
        group=GROUP,
        description=f"{transfer.description or source.description}\n\nConfigured in `{file.path.name}`. "
        f"[Klaviyo's documentation]({source.doc})",
        metadata={
            "transfer": file.path.name,
            **({"schedule": f"{schedule.cron} {schedule.timezone}"} if schedule and transfer.repeats else {}),
        },
        tags={TAG: name},
    )


def account_of(transfer: Transfer, key_origin: str) -> Callable[[KlaviyoResource], KlaviyoResource]:
    """What makes the transfer's account out of the default one; keys are looked up when a run needs them.

    Args:
        transfer: The transfer.
        key_origin: Where a key of the transfer's own stands, for the message of a wrong key.
    """

    def account(default: KlaviyoResource) -> KlaviyoResource:
        settings: dict[str, Any] = transfer.http_settings
        if transfer.api_token:
            settings["api_key"] = resolve(transfer.api_token, "this transfer")
            settings["key_origin"] = key_origin + variable_named_in(transfer.api_token)
        elif transfer.authentication:
            settings |= named_account(transfer.authentication)
        if transfer.revision:
            settings["revision"] = transfer.revision
        return default.with_settings(**settings) if settings else default

    return account


def named_account(name: str) -> dict[str, str]:
    """The settings of an account by its name.

    Raises:
        ConfigurationError: if there is no such account, or its key's variable is not set.
    """
    known = read_authentications()
    if name not in known:
        raise ConfigurationError(f"authentication is {name!r}, but {one_of(name, tuple(sorted(known)))}")
    account = known[name]
    given = {"base_url": account.base_url, "revision": account.revision, "key_origin": account.key_origin}
    given["privacy"] = account.privacy
    return {"api_key": account.api_key} | {key: value for key, value in given.items() if value}
