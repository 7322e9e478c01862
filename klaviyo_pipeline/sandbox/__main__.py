"""`python -m klaviyo_pipeline.sandbox`."""

from klaviyo_pipeline.sandbox.command import sandbox

if __name__ == "__main__":
    sandbox()
