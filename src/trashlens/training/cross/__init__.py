"""Networks on photos that they were not made for: other data sets, darker or brighter, normalised or not."""

from trashlens.training.cross.light import METHODS, brightness_of, change_brightness, even_out
from trashlens.training.cross.measurement import CrossConfig, Result, measure_reference, measure_set
from trashlens.training.cross.networks import Network, open_network
from trashlens.training.cross.picture import draw_results
from trashlens.training.cross.report import format_csv, format_results

__all__ = [
    "METHODS",
    "CrossConfig",
    "Network",
    "Result",
    "brightness_of",
    "change_brightness",
    "draw_results",
    "even_out",
    "format_csv",
    "format_results",
    "measure_reference",
    "measure_set",
    "open_network",
]
