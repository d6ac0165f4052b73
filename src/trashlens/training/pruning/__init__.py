"""Structured pruning: whole channels leave a trained network, which is then smaller and faster as it is.

The rest of the pipeline needs not know: a pruned network is a checkpoint like any other, to export or to distil.
"""

from trashlens.training.pruning.config import PruneConfig
from trashlens.training.pruning.cost import Cost, count_cost, count_macs
from trashlens.training.pruning.cut import prune_checkpoint
from trashlens.training.pruning.report import compare_bundles, format_comparison

__all__ = [
    "Cost",
    "PruneConfig",
    "compare_bundles",
    "count_cost",
    "count_macs",
    "format_comparison",
    "prune_checkpoint",
]
