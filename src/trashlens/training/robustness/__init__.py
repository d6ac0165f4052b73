"""How a network's accuracy falls when photos change, measured through the calls that serve."""

from trashlens.training.robustness.corruptions import CORRUPTIONS, STRENGTHS, VARIANTS, Corruptor, Scene
from trashlens.training.robustness.measurement import Measured, compare_folders, measure_folders
from trashlens.training.robustness.photos import (
    RobustnessConfig,
    group_scenes,
    prepared_split,
    read_scenes,
)
from trashlens.training.robustness.sheet import draw_sheet
from trashlens.training.robustness.summary import Answers, compare_answers, disagreement, summarise

__all__ = [
    "CORRUPTIONS",
    "STRENGTHS",
    "VARIANTS",
    "Answers",
    "Corruptor",
    "Measured",
    "RobustnessConfig",
    "Scene",
    "compare_answers",
    "compare_folders",
    "disagreement",
    "draw_sheet",
    "group_scenes",
    "measure_folders",
    "prepared_split",
    "read_scenes",
    "summarise",
]
