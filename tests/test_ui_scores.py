"""The Scoreboard tab shows the numbers of the records, and a bundle without a record is no obstacle."""

import copy
import dataclasses
import itertools
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import LABELS, toy_bundle, toy_model

from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.classifier import Classifier
from trashlens.errors import BundleError
from trashlens.lineup import Lineup
from trashlens.scoreboard import COLOURS
from trashlens.ui import scores
from trashlens.ui.scores import render_scores
from trashlens.ui.words import ENGLISH, load_words

WORDS = load_words()[ENGLISH]

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    return load_bundles(MODELS)


@pytest.fixture(scope="module")
def lineup(bundles: dict[str, Bundle]) -> Lineup:
    """The committed networks as a server holds them, without their graphs."""
    return serve(bundles)


def serve(bundles: dict[str, Bundle]) -> dict[str, Classifier | BundleError]:
    """Return a lineup that answers with nothing but its records; a graph takes no part in this tab."""
    found: dict[str, Classifier | BundleError] = {}
    for role, bundle in bundles.items():
        classifier = object.__new__(Classifier)
        classifier.bundle = bundle.without_model()
        found[role] = classifier
    return found


def read(html: str) -> ElementTree.Element:
    """Return the tab as a tree, which only well-formed HTML becomes."""
    for name, sign in {"&ndash;": "–", "&times;": "×", "&rsquo;": "’", "<wbr>": ""}.items():
        html = html.replace(name, sign)
    return ElementTree.fromstring(html)


def text(element: ElementTree.Element) -> str:
    return " ".join(part for part in (part.strip() for part in element.itertext()) if part)


def table(tree: ElementTree.Element, caption: str) -> dict[str, list[str]]:
    """Return the table's cells by the heading of their row."""
    (found,) = (one for one in tree.iter("table") if caption in text(one.find("caption")))
    rows = (row for row in found.iter("tr") if row.find("th[@scope='row']") is not None)
    return {text(row[0]): [text(cell) for cell in row[1:]] for row in rows}


def change(bundle: Bundle, *keys: str, value: Any = None) -> Bundle:
    """Return the bundle with another value below `keys` of its metrics, or without any."""
    metrics = copy.deepcopy(dict(bundle.metrics))
    record = metrics
    for key in keys[:-1]:
        record = record[key]
    record[keys[-1]] = value
    if value is None:
        del record[keys[-1]]
    return dataclasses.replace(bundle, metrics=metrics)


def test_the_numbers_are_those_of_the_records(lineup: Lineup, bundles: dict[str, Bundle]) -> None:
    tree = read(render_scores(lineup, WORDS))
    summary, f1 = table(tree, "Each network in numbers"), table(tree, "F1 of each class")
    assert list(f1) == list(LABELS)
    for column, (role, bundle) in enumerate(bundles.items()):
        test, latency = bundle.metrics["test"], bundle.metrics["latency"]
        low, high = test["accuracy_interval"]
        expected = {
            "accuracy": f"{test['accuracy']:.1%} {100 * low:.1f}–{100 * high:.1f}",
            "one photo, median": f"{latency['infer_ms_p50']:.1f} ms",
            "95% stay below": f"{latency['infer_ms_p95']:.1f} ms",
            "speed, teacher = 1": f"{latency['times_teacher_speed']:.1f}×",
            "network": bundle.architecture,
            "parameters": f"{bundle.parameters / 1e6:.1f} M",
            "file": f"{(MODELS / role / 'model.onnx').stat().st_size / 1e6:.1f} MB",
        }
        assert {name: summary[name][column] for name in expected} == expected
        for name, value in {
            "macro F1": f"{test['macro_f1']:.3f}",
            "calibration error": f"{test['ece']:.3f}",
            "on new objects": f"{test['objects']['new']['accuracy']:.1%}",
            "right where sure": f"{test['accepted']['precision']:.1%}",
            "on altered photos": f"{bundle.metrics['robustness']['robust']:.1%}",
        }.items():
            assert summary[name][column].startswith(f"{value} ")
        assert [row[column] for row in f1.values()] == [f"{test['f1'][label]:.3f}" for label in LABELS]
        confusion = table(tree, f"the {role} named")
        counts = [[int(cell or 0) for cell in confusion[label]] for label in LABELS]
        assert counts == test["confusion"]
    memory_mb = [bundles[role].metrics["latency"]["memory_mb"] for role in ROLES]
    assert summary["memory"] == [f"{one:.0f} MB" for one in memory_mb]
    assert "Memory was not recorded." not in text(tree)
    test = bundles["teacher"].metrics["test"]
    told = f"Scores on {test['photos']} photos that the networks never trained on"
    assert told in text(tree)
    cpu, cores = bundles["teacher"].metrics["latency"]["cpu"].removesuffix(" cores").split(", ")
    assert f"na {cpu}, rdzenie: {cores}, wątki:" in text(read(render_scores(lineup, load_words()["pl"])))
    assert f"garythung/trashnet in its {bundles['teacher'].provenance['data']['split']} split" in text(
        tree
    )


def test_a_pair_is_a_tie_where_its_interval_holds_zero(bundles: dict[str, Bundle]) -> None:
    pair = bundles["student"].metrics["test"]["paired"]["baseline"]
    for interval, told in (
        ([-0.02, 0.01], "a tie"),
        ([0.0, 0.04], "a tie"),
        ([0.01, 0.04], "student ahead"),
        ([-0.04, -0.01], "baseline ahead"),
    ):
        new = {**pair, "difference": -0.0123, "difference_interval": interval}
        student = change(bundles["student"], "test", "paired", "baseline", value=new)
        rows = table(
            read(render_scores(serve({**bundles, "student": student}), WORDS)), "minus the other"
        )
        assert rows["student minus baseline"][0].startswith("−1.2 ")
        assert rows["student minus baseline"][1] == told


def test_the_dots_lie_where_the_records_say(lineup: Lineup, bundles: dict[str, Bundle]) -> None:
    charts = {text(svg[0]): svg for svg in read(render_scores(lineup, WORDS)).iter("svg")}
    assert all(svg.get("role") == "img" and svg[0].tag == "title" for svg in charts.values())
    assert len(charts) == 1 + len(ROLES)
    (chart,) = (svg for title, svg in charts.items() if title.startswith("Accuracy against"))
    dots = {group.get("data-role"): group.find("circle") for group in chart.iter("g")}
    place = {role: (float(dot.get("cx")), float(dot.get("cy"))) for role, dot in dots.items()}
    accuracy = {role: bundle.metrics["test"]["accuracy"] for role, bundle in bundles.items()}
    assert sorted(place, key=lambda role: -place[role][1]) == sorted(accuracy, key=accuracy.__getitem__)
    assert place["teacher"][0] > place["student"][0] + 50
    assert math.dist(place["student"], place["baseline"]) >= 11  # as fast, and yet not on each other
    for role, bundle in bundles.items():
        (svg,) = (svg for title, svg in charts.items() if f"the {role} is right" in title)
        bins = bundle.metrics["test"]["reliability"]
        titles = [text(circle) for circle in svg.iter("circle")]
        assert [int(title.rpartition(" ")[2]) for title in titles] == bins["photos"]
        assert len(list(svg.iter("rect"))) == len(bins["photos"])


@pytest.mark.parametrize("order", [ROLES, ROLES[::-1]])
def test_three_of_the_same_time_stand_side_by_side(
    bundles: dict[str, Bundle], order: tuple[str]
) -> None:
    alike = {role: change(bundles[role], "latency", value={"infer_ms_p50": 0.04}) for role in order}
    tree = read(render_scores(serve(alike), WORDS))
    xs = sorted(float(g.find("circle").get("cx")) for g in tree.iter("g"))
    assert [round(right - left) for left, right in itertools.pairwise(xs)] == [12, 12]
    assert len({(t.get("x"), t.get("y")) for t in tree.iter("text") if t.get("class") == "tl-name"}) == 3
    summary = table(tree, "Each network in numbers")
    assert "95% stay below" not in summary
    assert summary["one photo, median"] == ["0.0 ms"] * 3


def test_bundles_without_any_record_have_their_size_and_no_more() -> None:
    toys = {role: toy_bundle(role, toy_model()) for role in ROLES}
    html = render_scores(serve(toys), WORDS)
    tree = read(html)
    assert "hold no scores yet" in text(tree)
    assert "<svg" not in html
    assert [title.text for title in tree.iter("h2")] == ["At a glance", "Where to look further"]
    summary = table(tree, "Each network in numbers")
    assert set(summary) == {"network", "parameters", "file"}
    assert summary["parameters"] == ["24"] * 3
    assert html.count("<dd>not recorded</dd>") == 2 * len(ROLES)


@pytest.mark.parametrize(
    "keys",
    [
        ("test",),
        ("latency",),
        ("robustness",),
        *(("test", key) for key in ("accuracy", "accuracy_interval", "f1", "confusion", "reliability")),
        *(
            ("test", key)
            for key in ("ece", "accepted", "objects", "paired", "photos", "interval", "macro_f1")
        ),
        *(("latency", key) for key in ("infer_ms_p50", "infer_ms_p95", "cpu", "teacher", "threads")),
    ],
)
def test_what_one_record_lacks_is_a_dash_or_left_out(
    bundles: dict[str, Bundle], keys: tuple[str]
) -> None:
    student = change(bundles["student"], *keys)
    tree = read(render_scores(serve({**bundles, "student": student}), WORDS))
    summary = table(tree, "Each network in numbers")
    whole = table(read(render_scores(serve(bundles), WORDS)), "Each network in numbers")
    assert [row[:2] for row in summary.values()] == [row[:2] for row in whole.values()]
    dashes = [name for name, row in summary.items() if row[2] == "–"]
    lost = {"robustness": ["on altered photos"], "accuracy": ["accuracy"], "ece": ["calibration error"]}
    assert dashes == lost.get(keys[-1], dashes)
    assert ("Not recorded for the student." in text(tree)) == (
        keys[-1] in ("test", "confusion", "reliability")
    )


def test_a_role_that_is_not_there_is_named_and_has_dashes(lineup: Lineup) -> None:
    tree = read(
        render_scores({**lineup, "baseline": BundleError("It has no readable model.onnx.")}, WORDS)
    )
    assert "Unavailable here: the baseline." in text(tree)
    summary = table(tree, "Each network in numbers")
    assert all(row[2] == "–" and row[0] != "–" for row in summary.values())
    columns = [th.get("data-role") for th in next(tree.iter("thead")).iter("th")]
    assert columns == ["teacher", "student", "baseline"]
    rows = table(tree, "minus the other")
    assert list(rows) == ["teacher minus student"]


def test_memory_that_was_not_recorded_is_said_to_be_missing(bundles: dict[str, Bundle]) -> None:
    latencies = {
        role: {key: value for key, value in bundle.metrics["latency"].items() if key != "memory_mb"}
        for role, bundle in bundles.items()
    }
    older = {role: change(bundles[role], "latency", value=one) for role, one in latencies.items()}
    tree = read(render_scores(serve(older), WORDS))
    assert "memory" not in table(tree, "Each network in numbers")
    assert "Memory was not recorded." in text(tree)
    tree = read(render_scores(serve({**older, "teacher": bundles["teacher"]}), WORDS))
    assert table(tree, "Each network in numbers")["memory"][1:] == ["–", "–"]


def test_other_test_photos_are_said_to_be_others(bundles: dict[str, Bundle]) -> None:
    teacher = change(bundles["teacher"], "test", "photos", value=99)
    assert "Not all saw the same ones." in render_scores(serve({**bundles, "teacher": teacher}), WORDS)


def test_nothing_of_a_record_is_markup() -> None:
    evil = "<script>x</script>"
    student = dataclasses.replace(
        toy_bundle("student", toy_model()),
        architecture=evil,
        labels=(evil, "glass"),
        metrics={
            "test": {
                **{"photos": 2, "f1": {evil: 0.5, "glass": 1.0}, "confusion": [[1, 0], [0, 1]]},
                "interval": evil,
            },
            "latency": {"cpu": evil, "threads": evil},
            "robustness": {"photos": 2, "accuracy": {evil: [1]}},
        },
        provenance={
            "recipe": {"name": evil},
            "data": {"dataset": evil, "split": evil},
            "run": {"id": evil, "url": None},
            "hub": {"repo": evil},
        },
    )
    html = render_scores(serve({"student": student}), WORDS)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 10


def test_links_lead_where_the_provenance_says_and_only_to_https(bundles: dict[str, Bundle]) -> None:
    run = {"id": "x", "url": "https://wandb.ai/e/p/runs/x"}
    for url, is_link in (
        ("https://wandb.ai/e/p/artifacts/bundle/b/v3", True),
        ("javascript:alert(1)", False),
    ):
        made = {"run": run, "artifact": {"url": url}, "hub": {"repo": "someone/trashlens"}}
        student = dataclasses.replace(bundles["student"], provenance=made)
        links = {
            a.get("href"): text(a)
            for a in read(render_scores(serve({"student": student}), WORDS)).iter("a")
        }
        expected = {run["url"]: "W&B run x", f"{scores.HUB}/someone/trashlens": "someone/trashlens"}
        version = f"student-bundle:{student.short_id}"
        assert links == expected | ({url: version} if is_link else {})


def test_the_recipe_is_summed_up_always_and_the_model_page_named_where_there_is_one(
    bundles: dict[str, Bundle],
) -> None:
    html = render_scores(serve(bundles), WORDS)
    assert "<dd>mobilenetv2_100, 192 px, 40 epochs</dd>" in html
    assert "<dd>mobilenetv2_100, 192 px, 40 epochs, taught by the teacher (hinton)</dd>" in html
    assert html.count("<summary>The whole recipe</summary>") == len(ROLES)
    assert WORDS["link.page"] not in html
    assert 'href=""' not in html


def test_the_networks_have_the_colours_of_the_pictures() -> None:
    css = (Path(scores.__file__).parent / "scores.css").read_text()
    light = css.partition(".dark")[0]
    assert dict(re.findall(r"--tl-(\w+): (#\w+);", light)) == COLOURS
