"""The amount of money in an event's ``$value``, which senders write as a number or as text.

A text counts if it has one meaning: ``12.00 USD``, ``$1,234.50``, ``1.234,50 €``, ``1 234,50``, ``12,5``. ``1,234`` and
``$1.234`` have two meanings. Such a text, ``NaN`` and an object are not amounts. Their events are counted separately.
"""

from __future__ import annotations

_CURRENCY = r"(?:[A-Z]{3}|[A-Z]{0,3}\p{Sc}|kr\.?|zł|Kč|Fr\.?)"
_SPACE = r"[\s\x{a0}\x{2009}\x{202f}]"
_GROUPS = r"'’\s\x{a0}\x{2009}\x{202f}"
_TEXT = rf"({_SPACE}*[-+−]?){_CURRENCY}?{_SPACE}*([-+−]?)(\d[\d.,{_GROUPS}]*?){_SPACE}*{_CURRENCY}?{_SPACE}*"
_WITH_POINT = (
    r"\d+",
    r"\d+\.(?:\d{1,2}|\d{4,})",
    r"(?:0|\d{4,})\.\d{3}",
    rf"\d{{1,3}}(?:[,{_GROUPS}]\d{{3}})+\.\d+",
    rf"\d{{1,3}}(?:[{_GROUPS}]\d{{3}})+",
    r"\d{1,3}(?:,\d{3}){2,}",
)
_WITH_COMMA = (
    r"\d+,(?:\d{1,2}|\d{4,})",
    r"(?:0|\d{4,}),\d{3}",
    rf"\d{{1,3}}(?:[.{_GROUPS}]\d{{3}})+,\d+",
    r"\d{1,3}(?:\.\d{3}){2,}",
)


def _quoted(pattern: str) -> str:
    return "'" + pattern.replace("'", "''") + "'"


def _any_of(patterns: tuple[str, ...]) -> str:
    return _quoted("|".join(f"(?:{each})" for each in patterns))


_SIGNS = f"regexp_replace(text, {_quoted('^' + _TEXT + '$')}, '\\1\\2')"
_SIGN = f"CASE trim({_SIGNS}) WHEN '' THEN '' WHEN '+' THEN '' WHEN '-' THEN '-' WHEN '−' THEN '-' END"
_DIGITS = f"regexp_extract(text, {_quoted('^' + _TEXT + '$')}, 3)"
MACROS = (
    "text_property(properties, name) AS json_extract_string(properties, '$.\"' || name || '\"')",
    "amount_of(digits, sign) AS TRY_CAST(CASE "
    f"WHEN regexp_full_match(digits, {_any_of(_WITH_POINT)}) THEN sign || regexp_replace(digits, '[^0-9.]', '', 'g') "
    f"WHEN regexp_full_match(digits, {_any_of(_WITH_COMMA)}) "
    "THEN sign || replace(regexp_replace(digits, '[^0-9,]', '', 'g'), ',', '.') END AS DECIMAL(18, 4))",
    f"amount_in(text) AS coalesce(TRY_CAST(text AS DECIMAL(18, 4)), amount_of({_DIGITS}, {_SIGN}))",
    "value_of(properties) AS amount_in(text_property(properties, '$value'))",
    "is_unreadable(properties) AS "
    "coalesce(trim(text_property(properties, '$value')), '') <> '' AND value_of(properties) IS NULL",
    "signed_value(properties, role) AS "
    "CASE WHEN role = 'refund' THEN -abs(value_of(properties)) ELSE value_of(properties) END",
)
"""SQL macros; the last three are for SQL files."""
