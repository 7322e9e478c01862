from klaviyo_pipeline_tests.transfers.workplace import place, shop

__all__ = ["place", "shop"]
