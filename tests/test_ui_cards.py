"""What the cards and the advice say, word for word."""

import dataclasses
import re

import pytest
from conftest import LABELS, toy_bundle, toy_model

from trashlens.bundle import ROLES
from trashlens.classifier import Classifier, Prediction
from trashlens.comparison import Comparison
from trashlens.ui.advice import render_advice
from trashlens.ui.cards import (
    describe_bundle,
    render_cards,
    render_empty,
    render_problem,
    render_timing,
    render_verdict,
)
from trashlens.ui.words import ENGLISH, load_words

WORDS = load_words()[ENGLISH]


def compared(**labels: str) -> Comparison:
    """Return a comparison in which each role names its label; the teacher takes 9 ms, others 2.

    A network is sure of its label, or, where a question mark follows it, gives it 41 %.
    """
    return Comparison(
        decode_ms=3.0,
        preprocess_ms=1.0,
        predictions={
            role: Prediction(
                confidences=spread(label),
                infer_ms=9.0 if role == "teacher" else 2.0,
                bundle="0" * 12,
                sure=not label.endswith("?"),
            )
            for role, label in labels.items()
        },
    )


def spread(label: str) -> dict[str, float]:
    """Return the probabilities by class."""
    name = label.removesuffix("?")
    least = 0.59 / (len(LABELS) - 1) if label.endswith("?") else 0.0
    rest = 1 - least * (len(LABELS) - 1)
    return {one: rest if one == name else least for one in sorted({*LABELS, name})}


@pytest.fixture(scope="module")
def classifiers() -> dict[str, Classifier]:
    return {role: Classifier(toy_bundle(role, toy_model())) for role in ROLES}


def text(html: str) -> str:
    """Return what a reader sees of the HTML."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            {"teacher": "glass", "baseline": "glass", "student": "glass"},
            "All three networks say glass .",
        ),
        ({"teacher": "glass", "student": "glass"}, "Both networks say glass ."),
        ({"student": "glass"}, "The student says glass ."),
        (
            {"teacher": "glass", "baseline": "metal", "student": "glass"},
            "The networks disagree: the teacher and the student say glass and the baseline says metal .",
        ),
        (
            {"teacher": "glass", "baseline": "metal", "student": "paper"},
            "The networks disagree: the teacher says glass , the baseline says metal "
            "and the student says paper .",
        ),
        (
            {"teacher": "glass?", "baseline": "metal?", "student": "glass?"},
            "None of the three networks is sure.",
        ),
        ({"teacher": "glass?", "student": "glass?"}, "Neither network is sure."),
        ({"student": "glass?"}, "The student is not sure."),
        ({"teacher": "glass", "student": "glass?"}, "The teacher says glass ; the student is not sure."),
        (
            {"teacher": "glass?", "baseline": "metal", "student": "metal"},
            "The baseline and the student say metal ; the teacher is not sure.",
        ),
        (
            {"teacher": "glass?", "baseline": "glass?", "student": "metal"},
            "The student says metal ; the teacher and the baseline are not sure.",
        ),
        (
            {"teacher": "glass", "baseline": "metal", "student": "metal?"},
            "The networks disagree: the teacher says glass and the baseline says metal ; "
            "the student is not sure.",
        ),
    ],
)
def test_the_verdict_names_who_says_what(labels: dict[str, str], sentence: str) -> None:
    shown = render_verdict(compared(**labels), WORDS)
    assert text(shown) == sentence
    assert ('data-agreed="true"' in shown) == sentence.startswith(
        ("All", "Both", "The student says glass")
    )


def test_a_card_that_is_not_sure_gives_its_guess_as_a_guess(classifiers: dict[str, Classifier]) -> None:
    comparison = compared(teacher="glass", baseline="plastic?", student="glass")
    cards = render_cards(classifiers, comparison, WORDS).split("<article")[1:]
    assert "not sure most like plastic, 41%" in text(cards[1])
    assert "not sure" not in cards[0] + cards[2]
    # Neither the card nor a bar of it looks like an answer.
    assert "data-unsure" in cards[1]
    assert "data-wins" not in cards[1]
    assert 'data-class="glass"' in cards[0].partition(">")[0]
    assert 'data-class="plastic"' not in cards[1].partition(">")[0]


def test_cards_state_speed_against_the_teacher(classifiers: dict[str, Classifier]) -> None:
    shown = text(
        render_cards(classifiers, compared(teacher="glass", baseline="glass", student="glass"), WORDS)
    )
    assert shown.count("4.5× the teacher’s speed") == 2
    assert shown.count("the reference") == 1


def test_a_network_that_did_not_run_says_so_and_compares_nothing(
    classifiers: dict[str, Classifier],
) -> None:
    shown = text(render_cards(classifiers, compared(student="glass"), WORDS))
    assert shown.count("not running") == 2
    assert "speed" not in shown


@pytest.mark.parametrize(
    ("share", "printed"),
    [(0.0, "0%"), (0.004, "&lt;1%"), (0.012, "1%"), (0.5, "50%"), (0.996, "&gt;99%"), (1.0, "100%")],
)
def test_only_certainty_is_printed_as_certain(
    classifiers: dict[str, Classifier], share: float, printed: str
) -> None:
    prediction = Prediction(
        confidences={"glass": share, "metal": 1 - share}, infer_ms=1.0, bundle="0" * 12
    )
    shown = render_cards(
        {"student": classifiers["student"]},
        Comparison(decode_ms=1.0, preprocess_ms=1.0, predictions={"student": prediction}),
        WORDS,
    )
    row = re.search(r'<li data-class="glass".*?</li>', shown)
    assert row is not None
    assert text(row[0]) == f"glass {printed}"


def test_times_add_up_to_the_total_shown() -> None:
    shown = text(render_timing(compared(teacher="glass", baseline="glass", student="glass"), WORDS))
    for part in ("17.0 ms in all", "decode 3.0 ms", "preprocess 1.0 ms", "infer, teacher 9.0 ms"):
        assert part in shown


def test_names_from_a_bundle_cannot_become_markup(classifiers: dict[str, Classifier]) -> None:
    comparison = compared(teacher="<script>", baseline="glass", student="glass")
    shown = (
        render_verdict(comparison, WORDS)
        + render_cards(classifiers, comparison, WORDS)
        + render_advice(comparison, WORDS)
    )
    assert "<script" not in shown
    assert "<b>" not in render_problem(classifiers, "a <b> sentence", WORDS).partition("</p>")[0]


def test_before_a_photo_every_network_introduces_itself(classifiers: dict[str, Classifier]) -> None:
    shown = text(render_empty(classifiers, "Send a photo.", WORDS))
    assert shown.startswith("Send a photo.")
    assert shown.count("waiting") == 3
    for role in ROLES:
        assert f"toy_{role}, 24" in shown


def test_a_bundle_is_described_without_its_pretraining_tag() -> None:
    bundle = toy_bundle("student", toy_model())
    object.__setattr__(bundle, "architecture", "mobilenetv3_small_100.lamb_in1k")
    object.__setattr__(bundle, "parameters", 1_524_000)
    assert describe_bundle(bundle, WORDS).split() == ["mobilenetv3_small_100,", "1.5", "M", "parameters"]


def test_words_are_joined_as_in_a_sentence() -> None:
    assert [WORDS.join(["a", "b", "c"][:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_advice_knows_every_class_and_says_that_rules_differ() -> None:
    for label in LABELS:
        shown = text(render_advice(compared(teacher=label, baseline=label, student=label), WORDS))
        assert shown.startswith(f"Where it goes {label.capitalize()}")
        assert "Rules differ locally." in shown


def test_advice_on_disagreement_begins_with_the_teacher() -> None:
    shown = text(render_advice(compared(teacher="paper", baseline="metal", student="metal"), WORDS))
    first, second = (
        "If it is paper as the teacher says",
        "If it is metal as the baseline and the student say",
    )
    assert 0 < shown.index(first) < shown.index(second)


def test_advice_is_for_what_a_network_is_sure_of() -> None:
    shown = text(render_advice(compared(teacher="paper?", baseline="metal", student="metal"), WORDS))
    assert "If it is metal as the baseline and the student say" in shown
    assert "paper" not in shown
    nobody = text(render_advice(compared(teacher="paper?", baseline="metal?", student="metal?"), WORDS))
    assert nobody == f"What to try {text(WORDS['advice.again'])}"


def test_a_card_names_the_bundle_that_answered_and_int8_where_it_reckons_so(
    classifiers: dict[str, Classifier],
) -> None:
    comparison = compared(teacher="glass", baseline="glass", student="glass")
    cards = render_cards(classifiers, comparison, WORDS)
    assert "int8" not in cards
    assert cards.count(f'data-bundle="{"0" * 12}"') == 3
    bundle = classifiers["teacher"].bundle
    copy = dataclasses.replace(bundle, weights="int8")
    assert describe_bundle(copy, WORDS) == f"{describe_bundle(bundle, WORDS)}, int8"
