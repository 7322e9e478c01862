"""What an API key can do: whose account it is, what it may read, and what limits and revision answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.klaviyo.catalogue.model import EXTRA_SMALL, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, comes_along, parent_of
from klaviyo_pipeline.klaviyo.catalogue.revisions import sunset_of
from klaviyo_pipeline.klaviyo.errors import AuthenticationError, KlaviyoError, LaterRevisionError, ScopeError

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient


@dataclass(frozen=True)
class Readable:
    """Whether the key may read a data source.

    ``problem`` says why not, other than for ``missing`` scopes; ``per_second`` and ``per_minute`` are the limits
    that Klaviyo's answer stated, None where it stated none.
    """

    source: str
    scopes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    problem: str = ""
    per_second: int | None = None
    per_minute: int | None = None

    @property
    def ok(self) -> bool:
        """Whether it may."""
        return not (self.missing or self.problem)


@dataclass(frozen=True)
class AccountReport:
    """What a check found. ``timezone`` is the account's, an IANA name; blank where it may not be read."""

    account: str
    account_id: str
    base_url: str
    revision: str
    answered: str
    sunset: str
    sources: tuple[Readable, ...]
    timezone: str = ""

    @property
    def ok(self) -> bool:
        """Whether every data source can be read."""
        return all(each.ok for each in self.sources)


def check_account(client: KlaviyoClient, names: Iterable[str]) -> AccountReport:
    """Ask the account for its name, and each of these data sources for as little as it gives.

    A data source that follows from others needs the scopes of several; whether the key has them shows in theirs.

    Raises:
        KlaviyoError: if Klaviyo can't be reached, or does not know the key.
    """
    account, revision = _account(client)
    sources = {name: SOURCES[name] for name in names}
    parents = {each.fan_out.parent for each in sources.values() if each.fan_out}
    parents |= {each.report.of for each in sources.values() if each.report}  # a report would spend of its daily quota
    parents |= {per.parent for each in sources.values() if (per := _read(each).per_parent)}
    asked = {**sources, **{name: SOURCES[name] for name in SOURCES if name in parents}}
    probes = {
        name: _probe(client, each)
        for name, each in asked.items()
        if each.fan_out is None and each.report is None and not comes_along(each, asked)
    }
    granted = {scope: probe for probe in probes.values() for scope in probe.scopes}
    found = []
    for name, source in sources.items():
        if name in probes:
            per = _read(source).per_parent
            missing = probes[name].missing or (probes[per.parent].missing if per else ())
            found.append(replace(probes[name], missing=missing))
            continue
        others = [granted[scope] for scope in source.scopes if scope in granted]
        missing = tuple(dict.fromkeys(scope for other in others for scope in other.missing))
        problem = _lacking(client, source) or next((other.problem for other in others if other.problem), "")
        found.append(Readable(name, source.scopes, missing, problem))
    attributes = _object(account.get("attributes"))
    contact = _object(attributes.get("contact_information"))
    return AccountReport(
        account=_text(contact.get("organization_name")) or _text(contact.get("default_sender_name")),
        account_id=_text(account.get("id")),
        base_url=client.base_url,
        revision=client.written_revision,
        answered=revision,
        sunset=sunset_of(revision).isoformat(),
        sources=tuple(found),
        timezone=_text(attributes.get("timezone")),
    )


def _read(source: Source) -> Source:
    return parent_of(source) if source.child is not None else source


def _account(client: KlaviyoClient) -> tuple[dict[str, Any], str]:
    from klaviyo_pipeline.klaviyo.client.answers import document
    from klaviyo_pipeline.klaviyo.client.client import Request

    request = Request("/api/accounts", "/api/accounts", EXTRA_SMALL, "Account", ("accounts:read",))
    try:
        answer = client.fetch(request, lambda body, _revision: _first(document(body)))
    except ScopeError:
        return {}, _revision(client)
    return answer.value, answer.revision


def _first(document: dict[str, Any]) -> dict[str, Any]:
    from klaviyo_pipeline.klaviyo.client.answers import part

    if isinstance(document["data"], dict):
        return document["data"]
    return part(document, "data", 0, kind=dict)


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """A text that can be shown, or blank."""
    from klaviyo_pipeline.klaviyo.client.answers import shown

    return shown(value, 100) if isinstance(value, str) else ""


def _revision(client: KlaviyoClient) -> str:
    """The revision that will answer, where the account itself may not be read."""
    from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer

    return expected_answer(client.revision)


def _lacking(client: KlaviyoClient, source: Source) -> str:
    """Why the revision does not have a data source; blank if it has."""
    from klaviyo_pipeline.klaviyo.extract.extract import refuse_older_revision

    try:
        refuse_older_revision(client, source)
    except LaterRevisionError as error:
        return str(error)
    return ""


def _probe(client: KlaviyoClient, source: Source) -> Readable:
    from klaviyo_pipeline.klaviyo.catalogue.columns import since
    from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
    from klaviyo_pipeline.klaviyo.extract.requests import first_request, streams_of
    from klaviyo_pipeline.klaviyo.windows import TimeSlice

    if lacking := _lacking(client, source):
        return Readable(source.name, source.scopes, problem=lacking)
    revision = expected_answer(client.revision)
    stream = streams_of(source, revision, None)[0]
    page_size = 1 if since(source.page_size, revision) else None
    request = first_request(source, stream, TimeSlice(None, None), frozenset(), revision, page_size)
    try:
        client.get_json(request)
    except AuthenticationError:
        raise
    except ScopeError:
        return Readable(source.name, source.scopes, missing=source.scopes)
    except KlaviyoError as error:
        return Readable(source.name, source.scopes, problem=str(error))
    quotas = client.limit(request).stated
    return Readable(source.name, source.scopes, (), "", quotas.get(1.0), quotas.get(60.0))
