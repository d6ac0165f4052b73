"""The commands that publish: models and the Space on the Hub, bundles in W&B's registry."""

__all__: list[str] = []
