"""Which container a class goes into where the visitor lives; `regions.yaml` says it, with its sources."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from trashlens.ui.words import ENGLISH, Words

__all__ = ["SCRIPT", "Region", "load_regions", "render_bins", "render_chooser"]

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""Shows what belongs to the chosen region, in an element that has both of the below, and remembers it."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A place with one set of rules, as one source gives them; its name is a word of the page."""

    publisher: str
    """Who says so."""
    source: str
    """The page's address."""
    read: datetime.date
    """The day on which the page was read."""
    bins: Mapping[str, Mapping[str, str]]
    """By class, the `container` in English, its `colour` as in CSS, and a `local` name if the source has one."""
    language: str = ENGLISH
    """Of the local names."""


@cache
def load_regions() -> Mapping[str, Region]:
    """Return the regions by key."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return {key: Region(**record) for key, record in yaml.safe_load(text).items()}


def render_bins(label: str, words: Words) -> str:
    """Return, for each region that has a rule for the class, a hidden line with its container.

    Container and colour stand in English for who reads that, and else by the name that is on the container, if the
    source has it.
    """
    return "".join(
        f'<p class="tl-bin" data-region="{key}" hidden><i style="background:{escape(one["colour"])}"></i>'
        f'<span>{words["region.in"].format(region=words[f"region.{key}"])} '
        f"{_name_container(region, one, words)}</span></p>"
        for key, region in load_regions().items()
        if (one := region.bins.get(label))
    )


def _name_container(region: Region, one: Mapping[str, str], words: Words) -> str:
    local = None if words.language == ENGLISH else one.get("local")
    return f'<strong lang="{region.language if local else ENGLISH}">{escape(local or one["container"])}</strong>'


def render_chooser(words: Words) -> str:
    """Return the menu of regions, and a hidden line with the source of each."""
    options = "".join(
        f'<option value="{key}">{words[f"region.{key}"]}</option>' for key in load_regions()
    )
    sources = "".join(
        f'<p class="tl-source" data-region="{key}" hidden>{_cite(region, words)}</p>'
        for key, region in load_regions().items()
    )
    return (
        f'<div class="tl-region"><label>{words["region.menu"]} '
        f'<select><option value="">{words["region.none"]}</option>{options}</select></label>{sources}</div>'
    )


def _cite(region: Region, words: Words) -> str:
    publisher = (
        f'<a href="{escape(region.source)}" rel="noopener" target="_blank" lang="en">'
        f'{escape(region.publisher)}</a> ({escape(urlsplit(region.source).hostname or "")})'
    )
    return words["region.source"].format(publisher=publisher, date=words.write_date(region.read))
