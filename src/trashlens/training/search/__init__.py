"""A search: an architecture and settings for a recipe, as accurate and as fast as can be.

config is the space and drawing what a trial takes from it; storage, execution, timing and stopping train the
trials, in as many processes as one starts; results and picture say what was found. The training itself is `fit`.
"""

from trashlens.training.search.config import SEARCHES, Space, parse_space
from trashlens.training.search.drawing import check_space
from trashlens.training.search.execution import Searcher, conduct_search
from trashlens.training.search.picture import draw_search
from trashlens.training.search.results import format_outcomes, read_outcomes, write_outcomes
from trashlens.training.search.storage import open_study

__all__ = [
    "SEARCHES",
    "Searcher",
    "Space",
    "check_space",
    "conduct_search",
    "draw_search",
    "format_outcomes",
    "open_study",
    "parse_space",
    "read_outcomes",
    "write_outcomes",
]
