"""A believable shop, generated: one seed, the same bytes."""

from klaviyo_pipeline.sandbox.data.shop.generate import generate_shop

__all__ = ["generate_shop"]
