from klaviyo_pipeline_tests.alerts.conftest import mails
from klaviyo_pipeline_tests.transfers.workplace import place, shop

__all__ = ["mails", "place", "shop"]
