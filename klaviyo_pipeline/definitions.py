"""The definitions that Dagster loads: assets, resources, jobs, schedules and sensors."""

from __future__ import annotations

import dagster as dg

from klaviyo_pipeline.collecting import look_less_often


def definitions() -> dg.Definitions:
    """The project's definitions, from the environment, klaviyo.yml and the folder of transfers.

    Raises:
        ConfigurationError: naming each environment variable that is wrong.
    """
    # Imported here, so that the imports too make fewer looks.
    from klaviyo_pipeline import environment
    from klaviyo_pipeline.accounts.parts import project_accounts
    from klaviyo_pipeline.built_in import project_definitions
    from klaviyo_pipeline.orchestration.names import names_in
    from klaviyo_pipeline.transfers.definitions import transfer_definitions
    from klaviyo_pipeline.transfers.folder import Folder

    environment.check_all()
    built_in = project_definitions(project_accounts())
    return dg.Definitions.merge(built_in, transfer_definitions(Folder(taken=lambda: names_in(built_in))))


look_less_often()
# Dagster takes one Definitions of a module, so there is no other one beside it.
defs = definitions()
look_less_often()
