"""Why a network is not sure: each one's threshold, said where "not sure" is shown and nowhere else."""

import dataclasses

from conftest import toy_bundle, toy_model

from trashlens.classifier import Classifier, Prediction
from trashlens.comparison import Comparison
from trashlens.ui.cards import render_cards
from trashlens.ui.doubts import explain_doubt, render_doubts
from trashlens.ui.words import ENGLISH, load_words

WORDS, GERMAN = load_words()[ENGLISH], load_words()["de"]
THRESHOLDS = {"teacher": 0.881, "baseline": 0.9725, "student": 0.91}
LINEUP = {
    role: Classifier(dataclasses.replace(toy_bundle(role, toy_model()), threshold=threshold))
    for role, threshold in THRESHOLDS.items()
}


def compared(**sure: bool) -> Comparison:
    predictions = {
        role: Prediction(confidences={"glass": 0.9, "paper": 0.1}, infer_ms=1.0, bundle="0", sure=one)
        for role, one in sure.items()
    }
    return Comparison(decode_ms=1.0, preprocess_ms=1.0, predictions=predictions)


def test_every_networks_threshold_is_named_as_the_language_writes_it() -> None:
    comparison = compared(teacher=True, baseline=False, student=True)
    html = render_doubts(LINEUP, comparison, WORDS)
    assert "the teacher 88.1%, the baseline 97.2% and the student 91.0%" in html
    assert "der Schüler 91,0\N{NO-BREAK SPACE}%" in render_doubts(LINEUP, comparison, GERMAN)


def test_where_all_are_sure_nothing_is_explained_and_who_did_not_run_is_not_named() -> None:
    assert render_doubts(LINEUP, compared(teacher=True, student=True), WORDS) == ""
    assert "baseline" not in render_doubts(LINEUP, compared(teacher=True, student=False), WORDS)


def test_the_card_of_who_is_not_sure_has_its_own() -> None:
    html = render_cards(LINEUP, compared(teacher=True, baseline=False, student=True), WORDS)
    assert html.count("title=") == 1
    assert f'<strong title="{explain_doubt(LINEUP["baseline"].bundle, WORDS)}">not sure</strong>' in html
    assert explain_doubt(LINEUP["baseline"].bundle, WORDS) == (
        "The baseline names a class only from 97.2% on."
    )
