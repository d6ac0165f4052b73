"""The command of studies: variants of a recipe over several seeds or folds, and what they show."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from trashlens.errors import RecipeError

__all__ = ["study_command"]


def study_command(argv: Sequence[str]) -> int:
    """Train variants with the same seeds or folds, or go on with that, and report what they show."""
    from trashlens.training.study import (
        STUDIES,
        choose_runs,
        conduct,
        find_standings,
        format_standings,
        parse_study,
        plan_runs,
        report_study,
    )

    parser = ArgumentParser(prog="trashlens study", description=study_command.__doc__)
    shipped = ", ".join(STUDIES.names())
    parser.add_argument("study", metavar="STUDY", help=f"a YAML file, or one of {shipped}")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="[VARIANT:]SETTING=VALUE",
        help="a setting of all variants, or of one (of a grid, of a data set or a network), such as "
        "`network.weights=FILE`; may be given again",
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the training runs")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        help="folder of the manifests; records and report are kept below its `studies`",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a variant or a run, such as `student` or `student-0`, to leave the others to another process or "
        "machine; may be given again",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what is done and what is left")
    parser.add_argument("--report", action="store_true", help="report from the records, train nothing")
    parser.add_argument("--measure", action="store_true", help="measure the networks' times anew")
    options = parser.parse_args(argv)
    if options.dry_run and options.report:
        raise RecipeError("--dry-run and --report exclude each other.")
    if options.only and options.report:
        raise RecipeError("--report is about all runs; leave out --only with it.")
    study = parse_study(options.study, options.set)
    if not options.report:
        runs = choose_runs(plan_runs(study, options.runs), options.only)
        records = options.data / "studies" / study.name
        if options.dry_run:
            print(format_standings(find_standings(runs, records)))
            return 0
        conduct(study, runs, records)
    print(report_study(study, options.data, measure=options.measure))
    return 0
