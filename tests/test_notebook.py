"""The notebook only calls the package, runs from top to bottom, and its committed outputs fit the bundles."""

import ast
import dataclasses
import hashlib
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from conftest import COLOURS, LABELS, toy_bundle, toy_model
from nbformat import NotebookNode
from run_notebook import NOTEBOOK, execute

from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.scoreboard import (
    format_latency,
    format_objects,
    format_pairs,
    format_rejection,
    format_table,
)
from trashlens.training.evaluate import score
from trashlens.training.study import read_finding

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "data" / "trashnet-official.csv"
QUICK = (
    "--schedule.epochs=1 --preprocess.size_px=32 --augment.size_px=32 --loader.batch_size=64 "
    "--network.name=test_efficientnet --network.weights=none --precision=no --augment.background=0"
)
STUDIES = ROOT / "data" / "studies"

LOGIC = (
    ast.FunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.If,
    ast.Try,
    ast.comprehension,
)
IMPORTS = {"IPython", "difflib", "matplotlib_inline", "pathlib", "trashlens"}


def tables(bundles: dict[str, Bundle]) -> list[str]:
    """Return the notebook's tables in its order, after the one of its quick runs."""
    return [
        *(table(bundles) for table in (format_table, format_pairs)),
        read_finding(STUDIES / "distillation"),
        format_objects(bundles),
        read_finding(STUDIES / "grouped"),
        *(table(bundles) for table in (format_rejection, format_latency)),
    ]


@pytest.fixture(scope="module")
def committed() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode, *kinds: str) -> list[str]:
    """Return the content of every output of the given kinds, in order; printed text is `stdout`."""
    contents = []
    for output in (output for cell in code_cells(notebook) for output in cell.outputs):
        data = output.data if "data" in output else {output.name: output.text}
        contents += [content for kind, content in data.items() if kind in kinds]
    return contents


def printed(notebook: NotebookNode) -> str:
    return "\n".join(outputs(notebook, "stdout", "text/plain"))


def text_of(notebook: NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.fixture
def measured_models(tmp_path: Path) -> Path:
    """Three toy bundles with records as complete as those of the committed ones."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 6
    probabilities = np.eye(6)[labels] * 0.8 + 0.2 * generator.dirichlet(np.ones(6), 60)
    history = [
        {"epoch": epoch, "train/loss": 1 / epoch, "val/accuracy": 1 - 0.4 / epoch} for epoch in (1, 2, 3)
    ]
    for speed, role in enumerate(ROLES, 1):
        latency = {
            **{"infer_ms_p50": 9.0 / speed, "infer_ms_p95": 12.0 / speed, "times_teacher_speed": speed},
            **{"requests": 60, "threads": 2, "cpu": "a toy"},
        }
        bundle = dataclasses.replace(
            toy_bundle(role, toy_model(COLOURS)),
            temperature=0.5,
            metrics={
                "test": score(labels, probabilities, classes=LABELS),
                "latency": latency,
                "robustness": {"clean": 0.9, "accuracy": {"blur": [0.8, 0.7, 0.6]}, "photos": 60},
            },
            provenance={
                "data": {
                    **{
                        "dataset": "garythung/trashnet",
                        "split": "official",
                        "photos": {"train": {"glass": 60}},
                    },
                    "manifest_sha256": hashlib.sha256(MANIFEST.read_bytes()).hexdigest(),
                },
                **{"epoch": 3, "history": history},
            },
        )
        bundle.write(tmp_path / "models" / role)
    return tmp_path / "models"


def test_it_runs_from_top_to_bottom_on_toy_data(
    trashnet: Path, measured_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(MANIFEST, tmp_path / "data")
    environment = {
        "TRASHLENS_SOURCE": str(trashnet),
        "TRASHLENS_DATA": str(tmp_path / "data"),
        "TRASHLENS_MODELS": str(measured_models),
        "TRASHLENS_QUICK": QUICK,
        **{"TRASHLENS_TEACHER": "teacher", "TRASHLENS_HEAVY": "", "TRASHLENS_LIGHT": ""},
        "TMPDIR": str(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    notebook, said = execute(environment)
    bars = [line for line in re.split(r"[\r\n]+", said) if line.strip()]
    # Networks that learned nothing in their epoch are sure of nothing, and export says so.
    expected = r"(photos|teacher|baseline|student): |No threshold makes it likely"
    assert [bar for bar in bars if not re.match(expected, bar)] == []
    bundles = load_bundles(measured_models)
    assert outputs(notebook, "text/markdown")[1:] == tables(bundles)
    assert "2,527 photos" in printed(notebook)
    images = outputs(notebook, "image/png")
    assert len(images) == len(re.findall(r"^\*Figure \d+\.", text_of(notebook), re.MULTILINE))


def test_its_cells_only_call_the_package(committed: NotebookNode) -> None:
    for cell in code_cells(committed):
        tree = ast.parse(cell.source)
        assert [node for node in ast.walk(tree) if isinstance(node, LOGIC)] == [], cell.source
        modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert {module.split(".")[0] for module in modules} <= IMPORTS
        assert len(cell.source.splitlines()) <= 20


def test_its_figures_are_numbered(committed: NotebookNode) -> None:
    numbers = re.findall(r"^\*Figure (\d+)\.", text_of(committed), re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))
    images = outputs(committed, "image/png")
    assert len(images) == len(numbers)


def test_every_cell_was_executed_once_in_order_without_a_complaint(committed: NotebookNode) -> None:
    cells = code_cells(committed)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"stream", "execute_result"}
    assert {o.name for cell in cells for o in cell.outputs if o.output_type == "stream"} == {"stdout"}


def test_its_outputs_fit_the_bundles(committed: NotebookNode) -> None:
    bundles = load_bundles(ROOT / "models")
    advice = "The bundles have changed: run `pipenv run notebook` and commit its outputs."
    assert outputs(committed, "text/markdown")[1:] == tables(bundles), advice
    for role, bundle in bundles.items():
        assert re.search(rf"^{role} +{bundle.short_id}$", printed(committed), re.MULTILINE), advice
    manifest = hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:12]
    assert printed(committed).count(manifest) == 2


def test_what_its_prose_says_of_the_bundles_holds() -> None:
    bundles = load_bundles(ROOT / "models")
    objects = bundles["student"].metrics["test"]["objects"]
    assert (
        objects["trained"]["photos"] > 2 * objects["new"]["photos"]
    )  # "most show an object of which ..."
    assert all(bundle.temperature < 1 for bundle in bundles.values())  # "below 1 and sharpens"


def test_it_is_light_and_knows_no_machine(committed: NotebookNode) -> None:
    assert NOTEBOOK.stat().st_size < 3e6
    assert committed.metadata.kernelspec.name == "python3"
    # base64 may spell anything
    text = re.sub(r'"image/png": "[^"]*"', "", NOTEBOOK.read_text(encoding="utf-8"))
    assert re.findall(r"(?<![\w.])/(?:work|tmp|root|home|Users|var|usr|opt)\b[^\s\"']*", text) == []
