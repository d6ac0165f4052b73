"""The regions: only what can be cited, for classes there are."""

import datetime

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
        assert set(one) == {"container", "colour"}
    assert f'<option value="{key}">{WORDS[f"region.{key}"]}</option>' in render_chooser(WORDS)
    assert region.source in render_chooser(WORDS)


def test_a_region_without_a_rule_for_a_class_says_nothing_of_it() -> None:
    assert 'data-region="south-lanarkshire"' in render_bins("glass", WORDS)
    assert 'data-region="south-lanarkshire"' not in render_bins("trash", WORDS)
    assert render_bins("plutonium", WORDS) == ""
