"""How rules are written: a preset's name, or a mapping, in ``KLAVIYO_PRIVACY`` and under ``privacy:`` of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.privacy.model import Action, Rule
from klaviyo_pipeline.klaviyo.privacy.presets import PRESETS
from klaviyo_pipeline.klaviyo.privacy.rules import Rules

_LISTS = {"deny": Action.DROP, "hash": Action.HASH, "redact": Action.REDACT}


def read_rules(text: str, name: str, secret: str = "") -> Rules:
    """Rules from the text of a setting, which is YAML.

    Raises:
        ConfigurationError: naming the setting, and what is wrong with it.
    """
    import yaml

    if not text.strip():
        return Rules()
    try:
        written = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigurationError(
            f"{name} is no YAML. Write a preset ({', '.join(PRESETS)}), or rules in braces: "
            "{preset: pseudonymous, profiles.first_name: keep}."
        ) from None
    return rules_of(written, name, secret)


def rules_of(written: Any, name: str, secret: str = "") -> Rules:  # noqa: ANN401 - whatever YAML holds
    """Rules from what YAML says: a preset's name, or a mapping of what rules are about to rules.

    A rule is ``keep``, ``drop``, ``hash`` or ``redact``; for a column of JSON also ``{allow: […], deny: […], hash: […],
    redact: […]}`` with keys.

    Args:
        written: What the YAML says.
        name: The setting, for messages.
        secret: The key of hashes.

    Raises:
        ConfigurationError: naming the setting, and what is wrong with it.
    """
    try:
        rules = _rules(written, secret.encode())
        rules.check()
    except ConfigurationError as error:
        raise ConfigurationError(f"{name} is wrong: {error}") from None
    return rules


def _rules(written: Any, secret: bytes) -> Rules:  # noqa: ANN401
    if written is None or written == "none":
        return Rules()
    if isinstance(written, str):
        written = {"preset": written}
    if not isinstance(written, Mapping):
        raise ConfigurationError(f"write a preset ({', '.join(PRESETS)}), or rules by column.")
    preset = written.get("preset", "") or ""
    if preset and preset not in PRESETS:
        raise ConfigurationError(f"there is no preset {preset!r}; there is {', '.join(PRESETS)}.")
    entries = tuple((str(about), _rule(str(about), rule)) for about, rule in written.items() if about != "preset")
    return Rules(entries, preset, secret)


def _rule(about: str, written: Any) -> Rule:  # noqa: ANN401
    if isinstance(written, str) and written in list(Action):
        return Rule(Action(written))
    if not isinstance(written, Mapping) or not written or not {"allow", *_LISTS}.issuperset(written):
        raise ConfigurationError(
            f"the rule of {about} must be {', '.join(Action)}, or for JSON lists of keys under allow, "
            f"{', '.join(_LISTS)}."
        )
    lists = {name: _keys(f"{about}: {name}", keys) for name, keys in written.items()}
    keys = tuple((key, action) for name, action in _LISTS.items() for key in lists.get(name, ()))
    return Rule(None, lists.get("allow"), keys)


def _keys(name: str, written: Any) -> tuple[str, ...]:  # noqa: ANN401
    if not isinstance(written, list) or not all(isinstance(each, str | int) for each in written):
        raise ConfigurationError(f"{name} must be a list of keys.")
    return tuple(str(each) for each in written)
