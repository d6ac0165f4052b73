"""Studies: variants of a recipe, trained with the same seeds or on the same folds, compared in pairs.

config and plan say what is to be trained; standing and execution train it and keep a record of each run; from
the records alone, statistics, latency, table, sentence, picture and report say what was found.
"""

from trashlens.training.study.config import STUDIES, Study, Variant, parse_study
from trashlens.training.study.execution import conduct
from trashlens.training.study.plan import Run, choose_runs, plan_runs
from trashlens.training.study.records import RunRecord, read_records
from trashlens.training.study.report import PICTURE_FILE, read_finding, report_study
from trashlens.training.study.standing import find_standings, format_standings

__all__ = [
    "PICTURE_FILE",
    "STUDIES",
    "Run",
    "RunRecord",
    "Study",
    "Variant",
    "choose_runs",
    "conduct",
    "find_standings",
    "format_standings",
    "parse_study",
    "plan_runs",
    "read_finding",
    "read_records",
    "report_study",
]
