"""`accounts-file.md`: every key of klaviyo.yml."""

from __future__ import annotations

from klaviyo_pipeline.accounts.model import AccountSettings, OptionSettings, ScheduleSettings, ShrinkSettings
from reference_docs.markdown import described, fields_table

INTRO = """\
# Keys of klaviyo.yml

The file has one key, `accounts`: a mapping of names to accounts; see [several accounts](../accounts.md). A name has
letters, digits and underscores, and begins with a letter. An unknown key, or a value of another type, is an error that
names file, line and key. Such an account is left out, and the others load. `klaviyo-pipeline account schema` prints the
same keys as a JSON Schema, for editors.
"""
SECTIONS = {"options": OptionSettings, "shrink": ShrinkSettings, "schedule": ScheduleSettings}


def page() -> str:
    """The page's text."""
    top = {name: field for name, field in AccountSettings.model_fields.items() if name not in SECTIONS}
    parts = [INTRO, "## An account\n", fields_table(AccountSettings, top, what="an account")]
    for name, model in SECTIONS.items():
        parts += [f"## `{name}`\n", described(model.__doc__, name) + "\n", fields_table(model, what=name)]
    return "\n".join(parts)
