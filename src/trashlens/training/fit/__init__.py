"""The one training loop, supervised and distilled alike, on accelerate: any device, any number of processes.

An epoch is determined by the recipe's seed and its number alone, and the state after each epoch is kept, so
a run killed at any moment continues from the last whole epoch to the weights it would have had anyway.
"""

from trashlens.training.fit.loop import Watch, ensure_data, fit

__all__ = ["Watch", "ensure_data", "fit"]
