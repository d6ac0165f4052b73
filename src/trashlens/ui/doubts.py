"""Why a network is not sure: each names a class only from a confidence of its own on."""

from trashlens.bundle import Bundle
from trashlens.comparison import Comparison
from trashlens.lineup import Lineup, available
from trashlens.ui.words import Words

__all__ = ["explain_doubt", "render_doubts"]


def explain_doubt(bundle: Bundle, words: Words) -> str:
    """Return from which confidence on the network names a class, one sentence, text."""
    who = words[f"the.{bundle.role}"]
    return words["doubt.from"].format(who=f"{who[0].upper()}{who[1:]}", threshold=_write(bundle, words))


def render_doubts(lineup: Lineup, comparison: Comparison, words: Words) -> str:
    """Return the closed explanation with each network's threshold, HTML; nothing where all are sure."""
    if all(prediction.sure for prediction in comparison.predictions.values()):
        return ""
    thresholds = [
        f"{words[f'the.{role}']} {_write(network.bundle, words)}"
        for role, network in available(lineup).items()
        if role in comparison.predictions
    ]
    reason = words["doubt.reason"].format(thresholds=words.join(thresholds))
    return (
        f'<details class="tl-doubts"><summary>{words["doubt.question"]}</summary>'
        f"<p>{reason}</p></details>"
    )


def _write(bundle: Bundle, words: Words) -> str:
    return words.write(bundle.threshold or 0, ".1%")
