from klaviyo_pipeline_tests.transfers.workplace import own_place, place, shop

__all__ = ["own_place", "place", "shop"]
