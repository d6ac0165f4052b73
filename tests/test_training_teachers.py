"""A student learns from a bundle as from the checkpoint that it was exported from, at any size of view."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import toy_bundle
from test_training_fit import recipe_of

from trashlens.bundle import Bundle
from trashlens.errors import RecipeError, TrainingError
from trashlens.files import hash_file
from trashlens.training.class_maps import add_class_maps
from trashlens.training.fit import fit
from trashlens.training.fit.teachers import check_teacher, describe_teacher, read_teacher, teacher_file
from trashlens.training.graph import to_onnx
from trashlens.training.networks import NetworkConfig, create_network


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a toy network that was exported for 32 px."""
    torch.manual_seed(0)
    network, _ = create_network(NetworkConfig(name="test_efficientnet", weights="none"), classes=6)
    folder = tmp_path_factory.mktemp("models") / "teacher"
    toy_bundle("teacher", to_onnx(network, size_px=32)).write(folder)
    return folder


@pytest.mark.parametrize("size_px", [32, 48])
def test_the_graph_answers_as_the_network_does_at_any_size(teacher: Path, size_px: int) -> None:
    torch.manual_seed(0)
    network, _ = create_network(NetworkConfig(name="test_efficientnet", weights="none"), classes=6)
    images = torch.randn(3, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)
    answers = read_teacher(teacher).network(images)
    assert answers.shape == (3, 6)
    with torch.no_grad():
        np.testing.assert_allclose(answers, network.eval()(images), atol=1e-4)


@pytest.mark.parametrize("size_px", [32, 48])
def test_a_teacher_computes_no_heat_maps(teacher: Path, tmp_path: Path, size_px: int) -> None:
    bundle = Bundle.load(teacher)
    replace(bundle, model=add_class_maps(bundle.model)).write(tmp_path / "explained")
    images = torch.randn(3, 3, size_px, size_px)
    network = read_teacher(tmp_path / "explained").network
    np.testing.assert_array_equal(network(images), read_teacher(teacher).network(images))
    assert len(network.session.get_outputs()) == 1


def test_a_student_learns_from_a_bundle(teacher: Path, recipe_file: Path) -> None:
    changes = {"role": "student", "objective__distill__teacher": teacher, "schedule__epochs": 1}
    with pytest.raises(RecipeError, match="normalises differently"):
        fit(recipe_of(recipe_file, **changes))
    same_view = {"preprocess__mean": "[0,0,0]", "preprocess__std": "[1,1,1]"}
    folder = fit(recipe_of(recipe_file, **changes, **same_view, output=recipe_file.parent / "student"))
    record = json.loads((folder / "checkpoint.json").read_text())
    assert record["inputs"]["teacher"] == hash_file(teacher_file(teacher))
    assert record["history"][0]["train/kd"] > 0


def test_a_student_of_a_teacher_that_saw_other_photos_is_refused(
    teacher: Path, recipe_file: Path, tmp_path: Path
) -> None:
    bundle = toy_bundle("teacher", (teacher / "model.onnx").read_bytes())
    made_from = {"recipe": {"role": "teacher"}, "data": {"split": "grouped", "seed": None, "fold": 1}}
    replace(bundle, provenance=made_from).write(tmp_path / "folded")
    changes = {"role": "student", "objective__distill__teacher": tmp_path / "folded"}
    with pytest.raises(RecipeError, match=r"learned from another split \(grouped\)"):
        fit(recipe_of(recipe_file, **changes, output=tmp_path / "student"))


RECYCLE, SMALL = (
    {"dataset": name, "split": "random", "seed": 0, "fold": None}
    for name in ("recycle", "recycle-small")
)
TRASHNET = {"dataset": "garythung/trashnet", "split": "official", "seed": None, "fold": None}


@pytest.mark.parametrize(
    ("learned", "data", "told"),
    [
        (RECYCLE, SMALL, r"\(recycle, random\) than the student's \(recycle-small, random\)"),
        (SMALL, RECYCLE, r"\(recycle-small, random\) than the student's \(recycle, random\)"),
        (RECYCLE, {**RECYCLE, "seed": 1}, r"\(random\) than the student's \(random\)"),
        (RECYCLE, RECYCLE, None),
        (RECYCLE, TRASHNET, None),  # they have no photo in common
        ({"split": "official", "seed": None}, TRASHNET, None),
        ({"split": "random", "seed": 0}, TRASHNET, r"\(random\) than the student's \(official\)"),
    ],
)
def test_a_teacher_of_a_set_does_not_teach_a_student_of_its_part(
    teacher: Path,
    tmp_path: Path,
    learned: dict[str, object],
    data: dict[str, object],
    told: str | None,
) -> None:
    bundle = toy_bundle("teacher", (teacher / "model.onnx").read_bytes())
    replace(bundle, provenance={"recipe": {"role": "teacher"}, "data": learned}).write(
        tmp_path / "known"
    )
    refused = pytest.raises(RecipeError, match=told) if told else nullcontext()
    with refused:
        check_teacher(tmp_path / "known", data)


def test_a_missing_teacher_is_asked_for(recipe_file: Path, tmp_path: Path) -> None:
    changes = {"role": "student", "objective__distill__teacher": tmp_path / "nobody"}
    with pytest.raises(RecipeError, match=r"nobody.* cannot be read .* a bundle such as models/teacher"):
        fit(recipe_of(recipe_file, **changes, output=tmp_path / "student"))


def test_a_teacher_whose_training_goes_on_teaches_nobody(recipe_file: Path, tmp_path: Path) -> None:
    taught_by = fit(recipe_of(recipe_file, output=tmp_path / "teacher", schedule__epochs=1))
    assert read_teacher(taught_by).labels
    record = json.loads((taught_by / "checkpoint.json").read_text())
    del record["complete"]
    (taught_by / "checkpoint.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match="not trained to its end"):
        read_teacher(taught_by)


def test_a_bundle_leads_back_to_its_checkpoint_where_that_is_known(
    teacher: Path, tmp_path: Path
) -> None:
    assert describe_teacher(teacher) is None
    assert describe_teacher(tmp_path / "gone") is None
    made_from = {"recipe": {"role": "teacher"}, "checkpoint_sha256": "ab" * 32}
    bundle = toy_bundle("teacher", (teacher / "model.onnx").read_bytes())
    replace(bundle, provenance=made_from).write(tmp_path / "known")
    assert describe_teacher(tmp_path / "known") == (made_from, "ab" * 32)
