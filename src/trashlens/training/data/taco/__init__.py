"""TACO, litter in the wild: from its annotations to crops on disk, split by photo."""

from trashlens.training.data.taco.config import TACO, TacoConfig
from trashlens.training.data.taco.inputs import crops_differ, describe_crops
from trashlens.training.data.taco.prepare import prepare_taco

__all__ = ["TACO", "TacoConfig", "crops_differ", "describe_crops", "prepare_taco"]
