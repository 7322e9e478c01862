"""`python -m klaviyo_pipeline.cli`."""

from klaviyo_pipeline.cli import main

main()
