"""The regions: only what can be cited, for classes there are."""

import datetime
from html import escape

import pytest
from conftest import LABELS

from trashlens.ui.regions import load_regions, render_bins, render_chooser
from trashlens.ui.words import ENGLISH, load_words

WORDS = load_words()[ENGLISH]


@pytest.mark.parametrize("key", load_regions())
def test_every_region_has_a_source_and_known_classes(key: str) -> None:
    region = load_regions()[key]
    assert region.source.startswith("http")
    assert isinstance(region.read, datetime.date)
    assert region.publisher
    assert region.bins
    assert set(region.bins) <= set(LABELS)
    for one in region.bins.values():
        assert {"container", "colour"} <= set(one) <= {"container", "colour", "local"}
        # Nothing but what the source says, which stands in the container's words as well.
        assert one.get("local", "") in one["container"]
    assert f'<option value="{key}">{WORDS[f"region.{key}"]}</option>' in render_chooser(WORDS)
    assert escape(region.source) in render_chooser(WORDS)


def test_a_region_without_a_rule_for_a_class_says_nothing_of_it() -> None:
    assert 'data-region="south-lanarkshire"' in render_bins("glass", WORDS)
    assert 'data-region="south-lanarkshire"' not in render_bins("trash", WORDS)
    assert render_bins("plutonium", WORDS) == ""


def test_who_reads_a_regions_language_is_told_its_containers_own_name() -> None:
    english, german, french = (render_bins("paper", load_words()[one]) for one in ("en", "de", "fr"))
    assert '<strong lang="de">Blaue Tonne</strong>' in german
    assert '<strong lang="fr">bac jaune</strong>' in german
    assert '<strong lang="fr">bac jaune</strong>' in french
    assert '<strong lang="en">blue bin (Blaue Tonne)</strong>' in english
    # The source has no German name for it.
    assert '<strong lang="en">yellow bin or yellow sack' in render_bins("metal", load_words()["de"])
