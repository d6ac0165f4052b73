"""TACO, litter in the wild: from its annotations to crops on disk, split by photo."""

from trashlens.training.data.taco.config import TACO, TacoConfig
from trashlens.training.data.taco.prepare import describe_crops, prepare_taco

__all__ = ["TACO", "TacoConfig", "describe_crops", "prepare_taco"]
