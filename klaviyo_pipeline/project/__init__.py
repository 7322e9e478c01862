"""The files of a project that runs this package: what `klaviyo-pipeline init` writes, and those of a clone."""
