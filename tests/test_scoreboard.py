"""The pictures show the numbers of the records, and a bundle without a record is no obstacle."""

import dataclasses
import io
from pathlib import Path

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from trashlens.bundle import Bundle, load_bundles
from trashlens.scoreboard import (
    draw_accuracy_latency,
    draw_confusion,
    draw_history,
    format_latency,
    format_table,
)

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    return load_bundles(MODELS)


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
