"""The pictures show the numbers of the records, and a bundle without a record is no obstacle."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from conftest import LABELS, toy_bundle, toy_model
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.scoreboard import (
    draw_accuracy_latency,
    draw_confusion,
    draw_history,
    draw_pictures,
    draw_reliability,
    format_classes,
    format_confusion,
    format_latency,
    format_objects,
    format_pairs,
    format_rejection,
    format_report,
    format_scores,
    format_table,
)
from trashlens.training.evaluate import compare_paired, score

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    return load_bundles(MODELS)


@pytest.fixture(scope="module")
def measured() -> dict[str, Bundle]:
    """Toy bundles on 60 photos of 20 objects: the student names all, the teacher 54, the baseline 48."""
    labels, groups = np.arange(60) % 6, np.arange(60) // 3
    answers = {}
    for role, wrong in zip(ROLES, (6, 12, 0), strict=True):
        named = np.where(np.arange(60) < wrong, (labels + 1) % 6, labels)
        answers[role] = np.eye(6)[named] * 0.7 + 0.05
    bare = {role: toy_bundle(role, toy_model(sharpness=i + 1)) for i, role in enumerate(ROLES)}
    return {
        role: dataclasses.replace(
            bundle,
            metrics={
                "test": {
                    **score(labels, answers[role], classes=LABELS, groups=groups),
                    "paired": {
                        other: {
                            "bundle": bare[other].short_id,
                            **compare_paired(labels, answers[other], answers[role], groups=groups),
                        }
                        for other in ROLES
                        if other != role
                    },
                },
                "latency": {"infer_ms_p50": 5.0, "infer_ms_p95": 6.0, "times_teacher_speed": 1.0},
            },
        )
        for role, bundle in bare.items()
    }


def cells(table: str) -> list[list[str]]:
    """Return the rows of a Markdown table below its header."""
    return [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]


def texts(figure: Figure) -> list[str]:
    """Return everything written inside the axes of a figure, once it has been drawn."""
    figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title]]


def test_accuracy_against_latency_names_each_role_with_its_accuracy(bundles: dict[str, Bundle]) -> None:
    figure = draw_accuracy_latency(bundles)
    written = texts(figure)
    for role, bundle in bundles.items():
        assert f"{role}  {bundle.metrics['test']['accuracy']:.1%}" in written
    scatters = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    dots = [tuple(scatter.get_offsets()[0]) for scatter in scatters]
    assert [y for _, y in dots] == [b.metrics["test"]["accuracy"] for b in bundles.values()]
    expected = [bundle.metrics["latency"]["infer_ms_p50"] for bundle in bundles.values()]
    assert [x for x, _ in dots] == pytest.approx(expected, rel=0.04)  # moved apart by at most 4 %


def test_every_photo_stands_in_the_confusion_matrices(bundles: dict[str, Bundle]) -> None:
    figure = draw_confusion(bundles)
    texts(figure)
    assert [axes.get_title() for axes in figure.axes] == list(bundles)
    for axes, bundle in zip(figure.axes, bundles.values(), strict=True):
        counts = [int(text.get_text()) for text in axes.texts]
        assert sum(counts) == bundle.metrics["test"]["photos"]


def test_the_curves_are_the_history_with_the_kept_epoch_ringed(bundles: dict[str, Bundle]) -> None:
    loss, accuracy = draw_history(bundles).axes
    for line, bundle in zip(loss.lines, bundles.values(), strict=True):
        history = bundle.provenance["history"]
        assert list(line.get_ydata()) == [record["train/loss"] for record in history]
    rings = [tuple(ring.get_offsets()[0]) for ring in accuracy.collections]
    kept = [b.provenance["history"][b.provenance["epoch"] - 1] for b in bundles.values()]
    assert rings == [(record["epoch"], record["val/accuracy"]) for record in kept]


def test_a_bundle_without_a_record_is_a_dash_and_an_empty_picture(bundles: dict[str, Bundle]) -> None:
    bare = {r: dataclasses.replace(b, metrics={}, provenance={}) for r, b in bundles.items()}
    assert format_table(bare).count("–") == 4 * len(bare)
    assert [texts(draw(bare)) for draw in (draw_accuracy_latency, draw_confusion)] == [[""], []]
    assert all(len(line.get_xdata()) == 0 for axes in draw_history(bare).axes for line in axes.lines)


def test_the_times_stand_in_their_table(bundles: dict[str, Bundle]) -> None:
    rows = format_latency(bundles).splitlines()[2:]
    for row, (role, bundle) in zip(rows, bundles.items(), strict=True):
        latency = bundle.metrics["latency"]
        assert row.startswith(
            f"| {role} | {latency['infer_ms_p50']:.1f} ms | {latency['infer_ms_p95']:.1f} ms"
        )
        assert row.endswith(f"{latency['requests']} photos on {latency['cpu']} |")
    unmeasured = {"student": dataclasses.replace(bundles["student"], metrics={})}
    assert len(format_latency(unmeasured).splitlines()) == 2


def test_scores_say_how_sure_they_are_and_of_what(measured: dict[str, Bundle]) -> None:
    teacher, _, student = cells(format_scores(measured))
    test = measured["teacher"].metrics["test"]
    low, high = test["ece_interval"]
    # Every answer claims 0.75; of the teacher's 0.9 are right, of the student's all.
    assert teacher[2] == f"0.150 ({low:.3f} to {high:.3f})"
    assert teacher[3:] == ["60", "bootstrap over 20 groups"]
    assert student[1:3] == ["1.000 (1.000 to 1.000)", "0.250 (0.250 to 0.250)"]


def test_classes_and_confusions_stand_in_tables(measured: dict[str, Bundle]) -> None:
    assert cells(format_classes(measured))[2] == ["student", *["1.000"] * 6]
    rows = cells(format_confusion(measured["baseline"]))
    assert rows[0] == ["cardboard", "8", "2", "0", "0", "0", "0"]
    assert rows[5] == ["trash", "2", "0", "0", "0", "0", "8"]


def test_pairs_are_the_first_minus_the_second(measured: dict[str, Bundle]) -> None:
    best, teacher, _ = cells(format_pairs(measured))
    low, high = measured["student"].metrics["test"]["paired"]["baseline"]["difference_interval"]
    assert best[:2] == ["student − baseline", f"+0.200 (+{low:.3f} to +{high:.3f})"]
    # Twelve that only the student names: 2 / 2¹²; six that only it names, not the teacher: 2 / 2⁶.
    assert best[2:] == ["12", "0", "< 0.001"]
    assert teacher[0] == "teacher − student"
    assert teacher[1].startswith("−0.100 (−")
    assert teacher[1].endswith("to 0.000)")
    assert teacher[2:] == ["0", "6", "0.031"]


def test_what_is_rejected_stands_beside_what_is_left() -> None:
    kept = {"threshold": 0.937, "photos": 60, "coverage": 0.8, "precision": 0.9792}
    unrelated = {"real": {"photos": 54, "rejected": 0.9}, "generated": {"photos": 90, "rejected": 0.85}}
    bundle = dataclasses.replace(
        toy_bundle("student", toy_model()),
        threshold=0.9374,
        metrics={"test": {"accepted": kept}, "unrelated": unrelated},
    )
    row = ["student", "0.937", "–", "0.800", "0.979", "90.0% of 54", "85.0% of 90"]
    assert cells(format_rejection({"student": bundle})) == [row]
    own = {**bundle.metrics, "unrelated": {**unrelated, "own": {"photos": 1, "rejected": 1.0}}}
    nothing = {**own, "test": {"accepted": {**kept, "coverage": 0.0, "precision": None}}}
    shown = format_rejection({"student": dataclasses.replace(bundle, metrics=nothing)})
    assert cells(shown) == [[*row[:3], "0.000", "–", *row[5:], "100.0% of 1"]]
    bare = toy_bundle("student", toy_model())
    assert cells(format_rejection({"student": bare})) == [["student", "always", *["–"] * 5]]


def test_what_was_promised_and_what_is_counted_stand_beside_what_came_of_it() -> None:
    kept = {"threshold": 0.937, "photos": 60, "coverage": 0.8, "precision": 0.9792}
    intervals = {"coverage_interval": [0.7, 0.9], "precision_interval": [0.95, 1.0]}
    kinds = {f"photo{number}": 1.0 for number in range(9)}
    metrics = {
        "val": {"accepted": {**kept, "wanted": 0.95}},
        "test": {"accepted": {**kept, **intervals}},
        "unrelated": {
            "real": {"photos": 54, "rejected": 0.9814, "kinds": kinds},
            "generated": {"photos": 70, "rejected": 0.95, "kinds": {"noise": 0.95}},
        },
    }
    bundle = dataclasses.replace(toy_bundle("student", toy_model()), threshold=0.937, metrics=metrics)
    assert cells(format_rejection({"student": bundle})) == [
        [
            *("student", "0.937", "95 %", "0.800 (0.700 to 0.900)", "0.979 (0.950 to 1.000)"),
            *("98.1% of 54 views of 9 photos", "95.0% of 70"),
        ]
    ]
    # A bundle that is always sure promises nothing.
    always = dataclasses.replace(bundle, threshold=None)
    assert cells(format_rejection({"student": always}))[0][1:3] == ["always", "–"]


def test_what_is_left_of_new_objects_stands_in_its_table() -> None:
    part = {"photos": 12, "accuracy": 0.9, "accuracy_interval": [0.8, 1.0]}
    kept = {"threshold": 0.9, "photos": 12, "coverage": 0.5, "precision": 0.75}
    nothing = {**kept, "coverage": 0.0, "precision": None}
    shown = ("0.900 (0.800 to 1.000)", "12")
    for new, old, said in (
        ({"accepted": kept}, {"accepted": nothing}, ("0.500 / 0.750", "0.000 / –")),
        ({}, {}, ("–", "–")),  # records of earlier versions
    ):
        objects = {"trained": {**part, **old}, "new": {**part, **new}}
        bundle = dataclasses.replace(
            toy_bundle("student", toy_model()), metrics={"test": {"objects": objects}}
        )
        row = ["student", shown[0], said[1], shown[1], shown[0], said[0], shown[1]]
        assert cells(format_objects({"student": bundle})) == [row]


def test_a_speed_holds_for_the_teacher_it_was_measured_against(measured: dict[str, Bundle]) -> None:
    def timed(**about: str) -> dict[str, Bundle]:
        return {
            role: dataclasses.replace(
                bundle,
                metrics={
                    "latency": {**bundle.metrics["latency"], "requests": 60, "cpu": "a toy", **about}
                },
            )
            for role, bundle in measured.items()
        }

    def speeds(bundles: dict[str, Bundle]) -> set[tuple[str, str]]:
        tables = (cells(format_table(bundles)), cells(format_latency(bundles)))
        return {(long[-1], short[3]) for long, short in zip(*tables, strict=True)}

    this, another = timed(teacher=measured["teacher"].short_id), timed(teacher="0" * 12)
    assert speeds(this) == speeds(timed()) == {("1.0×", "1.0×")}  # earlier records do not say
    assert speeds(another) == {("–", "–")}
    assert cells(format_table({"student": this["student"]}))[0][-1] == "–"


def test_a_pair_of_other_bundles_is_a_row_of_dashes(measured: dict[str, Bundle]) -> None:
    renewed = {**measured, "baseline": dataclasses.replace(measured["baseline"], model=toy_model())}
    assert [row.count("–") for row in format_pairs(renewed).splitlines()[2:]] == [4, 0, 4]


def test_a_pair_by_the_keys_of_earlier_versions_is_a_dash(measured: dict[str, Bundle]) -> None:
    test = measured["student"].metrics["test"]
    pair = test["paired"]["baseline"]
    old = {key: pair[key] for key in ("bundle", "difference", "difference_interval", "p")}
    paired = {"baseline": {**old, "only_first": 0, "only_second": 12}}
    student = dataclasses.replace(measured["student"], metrics={"test": {**test, "paired": paired}})
    row = cells(format_pairs({**measured, "student": student}))[0]
    assert row == [*cells(format_pairs(measured))[0][:2], "–", "–", "< 0.001"]


def test_reliability_shows_each_bin_at_its_place(measured: dict[str, Bundle]) -> None:
    figure = draw_reliability(measured)
    texts(figure)
    above, below = figure.axes[:2]
    assert above.get_title(loc="left") == "teacher"
    assert above.get_title(loc="right") == "ECE 0.150"
    dots = [c for c in above.collections if isinstance(c, PathCollection)]
    assert [tuple(dot) for dot in dots[0].get_offsets()] == [pytest.approx((0.75, 0.9))]
    (bar,) = below.patches
    assert (bar.get_x() + bar.get_width() / 2, bar.get_height()) == pytest.approx((11.5 / 15, 60))


def test_records_of_earlier_versions_are_drawn_and_printed(measured: dict[str, Bundle]) -> None:
    new = {"reliability", "paired", "interval", "macro_f1_interval", "ece_interval"}
    old = {
        role: dataclasses.replace(
            bundle,
            metrics={
                **bundle.metrics,
                "test": {k: v for k, v in bundle.metrics["test"].items() if k not in new},
            },
        )
        for role, bundle in measured.items()
    }
    assert set(draw_pictures(old)) == {"accuracy-latency", "confusion"}
    assert set(draw_pictures(measured)) == {"accuracy-latency", "confusion", "reliability"}
    assert cells(format_scores(old))[2] == ["student", "1.000", "0.250", "60", "–"]
    assert format_pairs(old).count("–") == 4 * 3
    bare = {role: dataclasses.replace(bundle, metrics={}) for role, bundle in measured.items()}
    assert draw_pictures(bare) == {}
    assert format_report(bare).count("–") == 3 * (4 + 4 + 6 + 4 + 6 + 5 + 36)


def test_the_report_holds_every_table(measured: dict[str, Bundle]) -> None:
    report = format_report(measured)
    assert report.startswith(format_table(measured))
    tables = (format_scores, format_classes, format_pairs, format_rejection)
    for table in (format_(measured) for format_ in tables):
        assert f"\n\n{table}\n\n" in report
    assert report.endswith(format_confusion(measured["student"]))
