"""What a stranger must know to read the scores: which photos they are from, and how they came about."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from trashlens.bundle import Bundle
from trashlens.records import look_up
from trashlens.ui.cards import name_roles
from trashlens.ui.words import Words

__all__ = ["describe_measuring", "render_intro"]


def render_intro(bundles: Mapping[str, Bundle], missing: Sequence[str], words: Words) -> str:
    """Return what the tab shows, from which photos and how many, HTML; roles that are not there are named."""
    photos = _agreed(bundles, "metrics", "test", "photos")
    dataset, split = (_agreed(bundles, "provenance", "data", key) for key in ("dataset", "split"))
    if not any("test" in bundle.metrics for bundle in bundles.values()):
        said = "The records of these networks hold no scores yet; what is known of them is below."
    elif photos is None:
        said = "How good the networks are, each on photos that it never trained on. Not all saw the same ones."
    else:
        source = f", the test photos of {escape(dataset)}" if dataset else ""
        source += f" in its {escape(split)} split" if dataset and split else ""
        said = (
            f"How good the networks are: scores on {photos} photos that they never trained on{source}."
        )
    if missing:
        said += f" Unavailable here: {name_roles(missing, words)}."
    return f'<p class="tl-verdict">{said}</p>'


def describe_measuring(bundles: Mapping[str, Bundle]) -> str:
    """Return how the numbers of the summary came about, as far as the records agree on it, HTML."""
    said = []
    if interval := _agreed(bundles, "metrics", "test", "interval"):
        said.append(f"In small print the 95% interval, {escape(interval)}.")
    if new := _agreed(bundles, "metrics", "test", "objects", "new", "photos"):
        said.append(
            f"Most test photos show an object that other photos showed in training, which flatters; {new} do not."
        )
    if altered := _agreed(bundles, "metrics", "robustness", "photos"):
        kinds = ", ".join(_agreed(bundles, "metrics", "robustness", "accuracy") or ())
        named = f" ({escape(kinds)})" if kinds else ""
        said.append(f"Altered photos are {altered} of them, each changed in many ways{named}.")
    if cpu := _agreed(bundles, "metrics", "latency", "cpu"):
        threads = _agreed(bundles, "metrics", "latency", "threads")
        with_threads = f" with {escape(str(threads))} threads" if threads else ""
        said.append(f"Times are the network&rsquo;s alone, on {escape(cpu)}{with_threads}.")
    if not any(look_up(bundle.metrics, "latency", "memory_mb") for bundle in bundles.values()):
        said.append("Memory was not recorded.")
    return " ".join(said)


def _agreed(bundles: Mapping[str, Bundle], part: str, *keys: str) -> Any:
    """Return what lies below `keys` of the bundles' records, or None where those that have it differ in it.

    Of what lies there by name, the names have to be the same.
    """
    found = [look_up(getattr(bundle, part), *keys) for bundle in bundles.values()]
    values = [tuple(one) if isinstance(one, Mapping) else one for one in found if one is not None]
    return values[0] if values and all(value == values[0] for value in values) else None
