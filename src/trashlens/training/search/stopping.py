"""When a trial is given up: several others were better at the same epoch, and are not slower.

Optuna's pruners are for one objective: with two, `Trial.report` and `Trial.should_prune` raise
NotImplementedError, and its documentation of `optuna.pruners` warns that they are "expected to be used only for
single-objective optimization" (optuna 5.0; requests #3450, #5268 and #5438 are open or were closed without it).
So the rule is our own. It needs no second curve, since a network's time is known before it is trained:

    A trial is stopped after epoch e if at least `dominators` other trials had, after their epoch e, a best
    macro F1 that is higher by `margin` or more, and their networks take no longer.

That is Pareto dominance at equal effort, as in multi-objective asynchronous successive halving (Schmucker et al.
2021, arXiv:2106.12639), without its rungs and quotas: a network that is faster than all others is never stopped,
however weak; of several trials of the fastest network the weaker ones may be. All trials have equally long
schedules, so that equal epochs stand at equal learning rates. A trial that catches up late is lost; `dominators`
and `margin` say how much of that risk is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trashlens.training.search.config import Stopping

__all__ = ["Curve", "find_dominators"]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How a trial went so far."""

    number: int
    """The trial's."""
    time: float
    """Of one photo, in whatever unit all trials share."""
    f1: Sequence[float]
    """Macro F1 on the validation photos after each epoch."""


def find_dominators(trial: Curve, others: Sequence[Curve], rule: Stopping) -> list[int]:
    """Return the numbers of the trials because of which a trial is to be stopped now; none where it goes on.

    `others` may be at earlier or later epochs; of the later only the first epochs count, the earlier are left out.
    """
    epoch = len(trial.f1)
    if rule.from_epoch is None or epoch < rule.from_epoch:
        return []
    own = max(trial.f1)
    ahead = [
        other.number
        for other in others
        if other.number != trial.number
        and len(other.f1) >= epoch
        and other.time <= trial.time
        and max(other.f1[:epoch]) >= own + rule.margin
    ]
    return ahead if len(ahead) >= rule.dominators else []
