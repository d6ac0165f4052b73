"""Training seen by eye; each function returns a matplotlib figure, photos appear in it as thumbnails."""

from trashlens.training.pictures.charts import (
    draw_answers,
    draw_calibration,
    draw_soft_targets,
    draw_split,
)
from trashlens.training.pictures.objects import draw_groups, draw_pairs
from trashlens.training.pictures.sheets import (
    draw_augmentation,
    draw_mistakes,
    draw_photos,
    draw_samples,
)

__all__ = [
    "draw_answers",
    "draw_augmentation",
    "draw_calibration",
    "draw_groups",
    "draw_mistakes",
    "draw_pairs",
    "draw_photos",
    "draw_samples",
    "draw_soft_targets",
    "draw_split",
]
