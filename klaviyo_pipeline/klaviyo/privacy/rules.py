"""What happens to the columns of each data source: kept, dropped, hashed, redacted, or stripped of some JSON keys."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA, Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.leaving_out import needed_columns
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, parent_of
from klaviyo_pipeline.klaviyo.privacy.model import DROP, KEEP, KINDS, Action, Rule, is_about_people
from klaviyo_pipeline.klaviyo.privacy.presets import preset_rule
from klaviyo_pipeline.similar import did_you_mean


@dataclass(frozen=True)
class Rules:
    """The rules of an account.

    Attributes:
        entries: Rules by what they are about: ``source.column`` (patterns with ``*``), or a name of ``KINDS``.
        preset: A preset's rules, which stand behind all entries.
        secret: The key of hashes.
    """

    entries: tuple[tuple[str, Rule], ...] = ()
    preset: str = ""
    secret: bytes = field(default=b"", repr=False)

    def __bool__(self) -> bool:
        return bool(self.entries or self.preset)

    @cached_property
    def fingerprint(self) -> str:
        """Another one for other rules or another secret; it tells neither."""
        said = json.dumps([self.preset, [[name, repr(rule)] for name, rule in self.entries]])
        return hashlib.sha256(self.secret + b"\0" + said.encode()).hexdigest()[:16]

    def of(self, source: Source) -> dict[str, Rule]:
        """The rules of a data source that do something, by column; with its staged columns and ``_extra``.

        What a rule says about a child table holds for the JSON that its rows stand in.

        Raises:
            ConfigurationError: A rule would take away what loads need, or cannot be about such a column.
        """
        if not self:
            return {}
        found: dict[str, Rule] = {}
        needed = needed_columns(source)
        for column in {each.name: each for each in (*source.columns, *source.staged)}.values():
            rule = self._rule(source, column, needed)
            rule = _merged(rule, self._of_children(source, column.name))
            if not rule.keeps:
                found[column.name] = rule
        extra = self._stated(source, EXTRA)
        if extra is None and found:
            # What is not known cannot be sorted, and may be what a rule takes away, under another name.
            extra = DROP
        if extra is not None and not extra.keeps:
            found[EXTRA] = extra
        return found

    def check(self) -> None:
        """Look at every rule.

        Raises:
            ConfigurationError: as ``of`` does; a rule is about nothing; a hash has no secret.
        """
        for name, _rule in self.entries:
            if "." in name:
                _check_name(name)
            elif name not in KINDS:
                raise ConfigurationError(f"{name!r} is neither source.column nor one of {', '.join(KINDS)}.")
        hashing = any(rule.hashes for source in SOURCES.values() for rule in self.of(source).values())
        if hashing and not self.secret:
            raise ConfigurationError("hash needs a secret: set KLAVIYO_PRIVACY_SECRET to at least 16 characters.")

    def _stated(self, source: Source, column: str) -> Rule | None:
        """What the entries say of a column: the longest name wins, a name of a kind comes last."""
        place = f"{source.name}.{column}"
        fitting = [(len(name.replace("*", "")), rule) for name, rule in self.entries if _fits(name, place)]
        if fitting:
            return max(fitting, key=lambda each: each[0])[1]
        if is_about_people(source):
            kinds = [rule for name, rule in self.entries if column in KINDS.get(name, ())]
            return kinds[-1] if kinds else None
        return None

    def _rule(self, source: Source, column: Column, needed: dict[str, str]) -> Rule:
        stated = self._stated(source, column.name)
        if stated is None:
            return preset_rule(self.preset, source, column, needed) if self.preset else KEEP
        place = f"{source.name}.{column.name}"
        if stated.keeps:
            return KEEP
        if stated.action is not None and column.name in needed:
            raise ConfigurationError(f"{place} cannot be changed: {needed[column.name]}.")
        if stated.action is None and column.type is not ColumnType.JSON:
            raise ConfigurationError(f"{place} is {column.type.value} and not json: it has no keys.")
        if stated.action is Action.HASH and column.type is not ColumnType.STRING:
            raise ConfigurationError(f"{place} is {column.type.value}: only text can be hashed. Use drop, or keys.")
        if stated.action is Action.REDACT and column.type not in (ColumnType.STRING, ColumnType.JSON):
            raise ConfigurationError(f"{place} is {column.type.value}: only text can be redacted. Use drop.")
        return stated

    def _of_children(self, source: Source, column: str) -> tuple[tuple[str, Action], ...]:
        """What the rules for child tables say of the keys in a JSON column of their parent."""
        keys: dict[str, Action] = {}
        for child in SOURCES.values():
            if child.child is None or child.child.inside != column or parent_of(child).name != source.name:
                continue
            needed = needed_columns(child)
            renames = [pair for place in child.child.places for pair in place.renames]
            for each in child.columns:
                if not each.path:
                    continue
                rule = self._rule(child, each, needed)
                if rule.action is not None and not rule.keeps:
                    theirs = {theirs for theirs, ours in renames if ours == each.path[-1]}
                    keys |= dict.fromkeys((each.path[-1], *theirs), rule.action)
                keys.update(rule.keys)
        return tuple(sorted(keys.items()))


def _merged(rule: Rule, keys: tuple[tuple[str, Action], ...]) -> Rule:
    if not keys or rule.action in (Action.DROP, Action.REDACT):
        return rule
    return Rule(None, rule.allow, (*rule.keys, *keys))


def _fits(name: str, place: str) -> bool:
    return "." in name and fnmatch.fnmatchcase(place, name)


def _check_name(name: str) -> None:
    places = [
        f"{source.name}.{column}"
        for source in SOURCES.values()
        for column in (*(each.name for each in source.columns), EXTRA)
    ]
    if not fnmatch.filter(places, name):
        source = name.partition(".")[0]
        near = [each for each in places if each.startswith(f"{source}.")] or places
        raise ConfigurationError(f"there is no column {name!r}{did_you_mean(name, near)}")
