"""The command of searches: which network and settings are the most accurate for the time they take."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from trashlens.errors import RecipeError

if TYPE_CHECKING:
    from optuna.study import Study

    from trashlens.training.search import Space

__all__ = ["search_command"]


def search_command(argv: Sequence[str]) -> int:
    """Search networks and settings for high F1 and little time, or go on with that; several processes may."""
    from trashlens.training.search import (
        SEARCHES,
        Searcher,
        check_space,
        conduct_search,
        open_study,
        parse_space,
    )

    parser = ArgumentParser(prog="trashlens search", description=search_command.__doc__)
    shipped = ", ".join(SEARCHES.names())
    parser.add_argument("space", metavar="SPACE", help=f"a YAML file, or one of {shipped}")
    parser.add_argument("--trials", type=int, help="how many trials, instead of the space's own number")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="a setting of all trials, such as `network.weights=FILE`; may be given again",
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the search's folder")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="database of the search as SQLAlchemy names it, such as postgresql://user@host/name, for "
        "processes on several machines; by default a file of SQLite in the search's folder, for several on one",
    )
    parser.add_argument(
        "--heartbeat_s",
        type=int,
        default=60,
        help="seconds between two signs of life; a process silent for three times as long is taken for dead",
    )
    parser.add_argument("--report", action="store_true", help="report what is known, train nothing")
    options = parser.parse_args(argv)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RecipeError("A search trains in single processes: start it several times instead.")
    if options.heartbeat_s < 1:
        raise RecipeError("--heartbeat_s must be at least 1.")
    space = parse_space(options.space, options.set, trials=options.trials)
    folder = options.runs / space.name
    reference = check_space(space, folder)
    study = open_study(space, reference, options.storage, folder, heartbeat_s=options.heartbeat_s)
    complete = False
    try:
        if not options.report:
            searcher = Searcher(space=space, reference=reference, folder=folder)
            complete = conduct_search(study, searcher)
    finally:  # after Ctrl-C too: what is known is worth a look
        _report(study, space, folder, record=complete)
    return 0


def _report(study: "Study", space: "Space", folder: Path, *, record: bool) -> None:
    """Write results and picture, print the front, and let W&B have them of a search that is complete, once."""
    from trashlens.scoreboard import write_pictures
    from trashlens.training.search import draw_search, format_outcomes, read_outcomes, write_outcomes
    from trashlens.training.tracking import track

    outcomes = read_outcomes(study)
    write_outcomes(space, outcomes, folder)
    figure = draw_search(space, outcomes)
    print(format_outcomes(space, outcomes))
    print(f"Results: {folder / 'results.csv'}, {folder / 'results.json'}")
    write_pictures({"pareto": figure}, folder)
    if record and not study.user_attrs.get("recorded"):
        rows = [
            {"trial": one.trial, "state": one.state, "front": one.front, "macro_f1": one.macro_f1}
            | {"time_ratio": one.time_ratio, "network": one.network}
            | {name: str(one.drawn.get(name)) for name in space.draws}
            for one in outcomes
        ]
        config = study.user_attrs["space"]
        with track(config, name=space.name, folder=folder, job_type="search", group=space.name) as run:
            run.log_rows("trials", rows, step=0)
            run.log_drawings({"pareto": figure}, step=0)
        study.set_user_attr("recorded", True)  # only now: one that was refused is sent the next time
