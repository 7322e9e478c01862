"""Privacy on decoded pages: the rules of columns, and people who were erased. Before a page touches a disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.leaving_out import needed_columns
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.decode.arrays import boolean_array, copied, json_array, string_array
from klaviyo_pipeline.klaviyo.decode.pages import Page
from klaviyo_pipeline.klaviyo.privacy.model import KINDS, Action, Rule, is_about_people, spelled_as
from klaviyo_pipeline.klaviyo.privacy.rules import Rules
from klaviyo_pipeline.people import HASH_DIGITS, Kind, Nobody, People, email, keyed_hash, phone, plain

REDACTED = "[redacted]"
IS_HASH = re.compile(f"[0-9a-f]{{{HASH_DIGITS}}}")
_SPELL: dict[Kind, Callable[[str], str]] = {Kind.EMAIL: email, Kind.PHONE: phone, Kind.EXTERNAL: plain}
_UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError)


@dataclass(frozen=True)
class Guard:
    """Lets through what may be kept of a data source's pages.

    Args:
        rules: The rules, by column.
        secret: The key of hashes.
        people: People who were erased: their rows are left out, and where other rows mention them stands ``[erased]``.
        owners: The columns that say whose row it is, and what they hold.
        fixed: Columns that loads need: nobody's name is looked for in them.
        landed: Whether values have landed, and may be hashes of earlier rules.
    """

    rules: Mapping[str, Rule] = field(default_factory=dict)
    secret: bytes = field(default=b"", repr=False)
    people: People = field(default_factory=Nobody, repr=False)
    owners: Mapping[str, Kind] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    landed: bool = False

    @classmethod
    def of(cls, source: Source, columns: Sequence[Column], rules: Rules, people: People | None = None) -> Guard:
        """The guard of a data source.

        Raises:
            ConfigurationError: A rule cannot be about one of its columns.
        """
        people = people or Nobody()
        fixed = frozenset(needed_columns(source)) if people else frozenset[str]()
        return cls(rules.of(source), rules.secret, people, owners_of(source, columns), fixed)

    def let(self, page: Page) -> Page:
        """The page as it may be kept."""
        if not self.rules and not self.people:
            return page
        batch, ids = page.batch, page.ids
        if self.people:
            keep = [not mine for mine in self._whose(batch)]
            if not all(keep):
                batch = batch.filter(boolean_array(keep))
                ids = [id_ for id_, kept in zip(ids, keep, strict=True) if kept] if len(ids) == len(keep) else ids
            batch = self._changed(batch, dict.fromkeys(self._free_texts(batch), self._without_people))
        batch = self._ruled(batch)
        batch = pa.RecordBatch.from_arrays([copied(array) for array in batch.columns], schema=batch.schema)
        return replace(page, batch=batch, ids=ids)

    def _free_texts(self, batch: pa.RecordBatch) -> list[str]:
        texts = [each for each in batch.schema if each.type in (pa.string(), pa.json_())]
        return [each.name for each in texts if each.name not in self.fixed or each.type == pa.json_()]

    def of_landed(self, name: str, text: str, is_json: bool) -> str | None:
        """What may be kept of a text that has landed: hashes and redacted values stay as they are."""
        if self.rules[name].action is Action.DROP:
            return None
        done = not is_json and (text == REDACTED or IS_HASH.fullmatch(text) is not None)
        return text if done else self._by_rule(name, text, is_json)

    def _whose(self, batch: pa.RecordBatch) -> list[bool]:
        """Which rows are an erased person's."""
        found = [False] * batch.num_rows
        for name, kind in self.owners.items():
            if name in batch.schema.names:
                for row, value in enumerate(batch.column(name).to_pylist()):
                    found[row] = found[row] or (isinstance(value, str) and self.people.has(kind, value))
        return found

    def _without_people(self, name: str, text: str, is_json: bool) -> str | None:
        if not is_json:
            changed = self.people.without(text, name)
            return text if changed == text else str(changed)
        try:
            value = msgspec.json.decode(text)
            changed = self.people.without(value, name)
            return text if changed == value else msgspec.json.encode(changed).decode()
        except _UNREADABLE:  # also nested too deeply
            return None if self.people.is_mentioned_in(text, name) else text

    def _ruled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        dropped = {name for name, rule in self.rules.items() if rule.action is Action.DROP}
        for name in dropped.intersection(batch.schema.names):
            at = batch.schema.get_field_index(name)
            batch = batch.set_column(at, batch.schema.field(at), pa.nulls(batch.num_rows, batch.schema.field(at).type))
        return self._changed(batch, {name: self._by_rule for name in self.rules if name not in dropped})

    def _by_rule(self, name: str, text: str, is_json: bool) -> str | None:
        rule = self.rules[name]
        if not is_json:
            return REDACTED if rule.action is Action.REDACT else hashed(self.secret, text, name)
        if rule.action is Action.REDACT:
            return f'"{REDACTED}"'
        try:
            return msgspec.json.encode(self._sorted_out(msgspec.json.decode(text), rule)).decode()
        except _UNREADABLE:
            return None  # what cannot be read, or is nested too deeply, cannot be sorted

    def _sorted_out(self, value: Any, rule: Rule) -> Any:  # noqa: ANN401 - whatever JSON holds
        if rule.allow is not None:
            objects = value if isinstance(value, list) else [value]
            left = [
                {key: each for key, each in one.items() if _matches(key, rule.allow)}
                for one in objects
                if isinstance(one, dict)
            ]
            value = left if isinstance(value, list) else left[0] if left else None
        return self._by_keys(value, rule.keys) if rule.keys else value

    def _by_keys(self, value: Any, keys: tuple[tuple[str, Action], ...]) -> Any:  # noqa: ANN401
        if isinstance(value, list):
            return [self._by_keys(each, keys) for each in value]
        if not isinstance(value, dict):
            return value
        found = {}
        for key, each in value.items():
            action = next((action for pattern, action in keys if _matches(key, (pattern,))), Action.KEEP)
            if action is Action.KEEP:
                found[key] = self._by_keys(each, keys)
            elif action is Action.REDACT:
                found[key] = None if each is None else REDACTED
            elif action is Action.HASH:
                found[key] = self._hashed(each, key)
        return found

    def _hashed(self, value: Any, key: str) -> Any:  # noqa: ANN401
        if value is None:
            return None
        if isinstance(value, list):
            return [self._hashed(each, key) for each in value]
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return text if self.landed and IS_HASH.fullmatch(text) else hashed(self.secret, text, key)

    def _changed(
        self, batch: pa.RecordBatch, change: Mapping[str, Callable[[str, str, bool], str | None]]
    ) -> pa.RecordBatch:
        """The batch with the texts of some columns changed."""
        for name, by in change.items():
            if name not in batch.schema.names:
                continue
            column, at = batch.column(name), batch.schema.get_field_index(name)
            is_json = isinstance(column, pa.ExtensionArray)
            texts = (column.storage if is_json else column).to_pylist()
            made = [None if text is None else by(name, text, is_json) for text in texts]
            if made != texts:
                array = json_array(made) if is_json else string_array(made)
                batch = batch.set_column(at, batch.schema.field(at), array)
        return batch


def hashed(secret: bytes, text: str, name: str) -> str:
    """The keyed hash of a value, spelled as its column's values are; blank for a blank one."""
    spelled = _SPELL[spelled_as(name)](text)
    return keyed_hash(secret, spelled) if spelled else ""


def owners_of(source: Source, columns: Sequence[Column]) -> dict[str, Kind]:
    """The columns of a data source that say whose its rows are."""
    if not is_about_people(source):
        return {}
    owners = {column.name: Kind.PROFILE for column in columns if column.references == "profiles"}
    if source.resource == "profile" and source.fan_out is None:
        owners |= {column.name: Kind.PROFILE for column in columns if column.path == ("id",)}
    for kind in (Kind.EMAIL, Kind.PHONE, Kind.EXTERNAL):
        names = KINDS["phone" if kind is Kind.PHONE else kind.value]
        owners |= {column.name: kind for column in columns if column.name in names}
    return owners


def _matches(key: str, patterns: tuple[str, ...]) -> bool:
    return any(_pattern(pattern).fullmatch(key.casefold()) for pattern in patterns)


@lru_cache(maxsize=1024)
def _pattern(written: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, written.casefold().split("*"))), re.DOTALL)
