"""What a stranger must know to read the scores: which photos they are from, and how they came about."""

import re
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
        key = "scores.unscored"
    elif photos is None:
        key = "scores.mixed"
    else:
        key = "scores.split" if dataset and split else "scores.dataset" if dataset else "scores.photos"
    said = words[key].format(
        photos=photos, dataset=escape(dataset or ""), split=escape(words.find("split", split or ""))
    )
    if missing:
        said += f" {words['scores.missing'].format(roles=name_roles(missing, words))}"
    return f'<p class="tl-verdict">{said}</p>'


def describe_measuring(bundles: Mapping[str, Bundle], words: Words) -> str:
    """Return how the numbers of the summary came about, as far as the records agree on it, HTML."""
    said = []
    if interval := _agreed(bundles, "metrics", "test", "interval"):
        said.append(words["scores.interval"].format(method=_name_method(interval, words)))
    if new := _agreed(bundles, "metrics", "test", "objects", "new", "photos"):
        said.append(words["scores.new"].format(photos=new))
    if altered := _agreed(bundles, "metrics", "robustness", "photos"):
        kinds = _agreed(bundles, "metrics", "robustness", "accuracy") or ()
        named = ", ".join(escape(words.find("altered", kind)) for kind in kinds)
        key = "scores.altered.named" if named else "scores.altered"
        said.append(words[key].format(photos=altered, kinds=named))
    if cpu := _agreed(bundles, "metrics", "latency", "cpu"):
        threads = _agreed(bundles, "metrics", "latency", "threads")
        key = "scores.times.threads" if threads else "scores.times"
        said.append(words[key].format(cpu=_name_processor(cpu, words), threads=escape(str(threads))))
    if not any(look_up(bundle.metrics, "latency", "memory_mb") for bundle in bundles.values()):
        said.append(words["scores.memory"])
    return " ".join(said)


def _name_method(interval: str, words: Words) -> str:
    """Return how the intervals were found, as the records name it: a bootstrap, or by whom."""
    found = re.fullmatch(r"bootstrap over (\d+) groups", interval)
    return words["scores.bootstrap"].format(groups=found[1]) if found else escape(interval)


def _name_processor(cpu: str, words: Words) -> str:
    """Return the processor as the records name it, its number of cores in the page's words."""
    found = re.fullmatch(r"(.+), (\d+) cores", cpu)
    if not found:
        return escape(cpu)
    return words["scores.cores"].format(cpu=escape(found[1]), cores=found[2])


def _agreed(bundles: Mapping[str, Bundle], part: str, *keys: str) -> Any:
    """Return what lies below `keys` of the bundles' records, or None where those that have it differ in it.

    Of what lies there by name, the names have to be the same.
    """
    found = [look_up(getattr(bundle, part), *keys) for bundle in bundles.values()]
    values = [tuple(one) if isinstance(one, Mapping) else one for one in found if one is not None]
    return values[0] if values and all(value == values[0] for value in values) else None
