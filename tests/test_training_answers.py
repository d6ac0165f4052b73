"""Remembered answers: the same weights as without them, for any student, and never to other views."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from torch import nn

from trashlens.errors import RecipeError, TrainingError
from trashlens.training.checkpoint import write_checkpoint
from trashlens.training.data import LABELS
from trashlens.training.fit import fit
from trashlens.training.fit.answers import RememberingTeacher, name_views
from trashlens.training.fit.state import read_progress
from trashlens.training.networks import create_network
from trashlens.training.recipe import Recipe, parse_recipe

STEPS = 6
"""48 photos in batches of 8."""


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """accelerate keeps its precision for the life of a process; each test is a process of its own to it."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def teacher(recipe_file: Path, tmp_path: Path) -> Path:
    """A teacher that has learnt nothing: what it answers does not matter here."""
    recipe = parse_recipe(str(recipe_file), ["--role=teacher"])
    torch.manual_seed(0)
    network, _ = create_network(recipe.network, classes=len(LABELS))
    record = {"recipe": recipe.to_json(), "labels": list(LABELS), "complete": True}
    write_checkpoint(tmp_path / "teacher", network, record)
    return tmp_path / "teacher"


def student(recipe_file: Path, teacher: Path, name: str, *options: str, remember: bool = True) -> Recipe:
    """Return a student's recipe that writes to, and perhaps remembers beside, the teacher's folder."""
    fixed = ["--role=student", f"--objective.distill.teacher={teacher}"]
    if remember:
        fixed.append(f"--objective.distill.remember={teacher.parent / 'answers'}")
    return parse_recipe(
        str(recipe_file), [*fixed, f"--output={teacher.parent / name}", "--augment.mixup=0.5", *options]
    )


def same_weights(first: Path, second: Path) -> bool:
    one, other = (load_file(folder / "model.safetensors") for folder in (first, second))
    return all(torch.equal(one[name], other[name]) for name in one)


def folders(teacher: Path) -> list[Path]:
    return sorted((teacher.parent / "answers").iterdir())


def test_remembered_answers_lead_to_the_same_weights(
    recipe_file: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fit(student(recipe_file, teacher, "plain", remember=False))
    first = fit(student(recipe_file, teacher, "first"))
    assert same_weights(plain, first)
    (folder,) = folders(teacher)
    epochs = [load_file(folder / f"epoch-000{number}.safetensors") for number in (1, 2)]
    for epoch in epochs:
        assert (epoch["logits"].shape, epoch["logits"].dtype) == ((STEPS, 8, 6), torch.float32)
        assert epoch["means"].shape == (STEPS, 8)
    assert not torch.equal(epochs[0]["means"], epochs[1]["means"])

    asked = []
    teachers_forward = RememberingTeacher.forward

    def count(self: RememberingTeacher, images: torch.Tensor) -> torch.Tensor:
        before = self.teacher.register_forward_pre_hook(lambda *_: asked.append(1))
        try:
            return teachers_forward(self, images)
        finally:
            before.remove()

    monkeypatch.setattr(RememberingTeacher, "forward", count)
    again = fit(student(recipe_file, teacher, "again"))
    assert asked == []  # from the file
    fit(student(recipe_file, teacher, "new", "--seed=9", "--schedule.epochs=1"))
    assert len(asked) == STEPS
    assert len(folders(teacher)) == 2
    assert same_weights(plain, again)


def test_another_student_with_dropout_sees_the_same_views(recipe_file: Path, teacher: Path) -> None:
    fit(student(recipe_file, teacher, "first", "--schedule.epochs=1"))
    fit(
        student(
            recipe_file,
            teacher,
            "other",
            "--network.arguments={drop_rate: 0.5, drop_path_rate: 0.5}",
            "--objective.distill.method=dist",
            "--schedule.ema=0.5",
        )
    )
    (folder,) = folders(teacher)
    assert len(list(folder.glob("epoch-*"))) == 2


def test_answers_are_named_by_what_determines_the_views(recipe_file: Path, teacher: Path) -> None:
    def name(*options: str, data: str = "d", digest: str = "t") -> str:
        recipe = student(recipe_file, teacher, "any", *options)
        views = name_views(recipe, data={"sha256": data}, teacher_sha256=digest, arithmetic="cpu no")
        return RememberingTeacher(nn.Identity(), teacher.parent / "answers", views).folder.name

    same = [
        *("--network.name=test_resnet", "--schedule.epochs=9", "--objective.distill.alpha=0.1"),
        *("--objective.distill.method=dist", "--objective.label_smoothing=0", "--preprocess.size_px=48"),
    ]
    assert {name(option) for option in same} == {name()}
    other = [
        *("--seed=1", "--augment.jitter=0.1", "--augment.mixup=0", "--loader.batch_size=4"),
        *("--loader.workers=1", "--preprocess.mean=[0, 0, 0]", "--objective.distill.size_px=64"),
    ]
    names = [name(), name(data="e"), name(digest="u"), *(name(option) for option in other)]
    assert len(set(names)) == len(names)


def test_answers_to_other_views_stop_the_run(recipe_file: Path, teacher: Path) -> None:
    fit(student(recipe_file, teacher, "first"))
    (folder,) = folders(teacher)
    path = folder / "epoch-0002.safetensors"
    epoch = load_file(path)
    epoch["means"][3] += 0.001
    save_file(epoch, path)
    with pytest.raises(
        TrainingError, match=r"other views than those of this run \(step 4 of an epoch\)"
    ):
        fit(student(recipe_file, teacher, "second"))


def test_only_a_whole_epoch_is_kept(tmp_path: Path) -> None:
    teacher = RememberingTeacher(nn.Flatten(), tmp_path, {"seed": 0})
    images = torch.arange(24.0).reshape(2, 3, 2, 2)
    with pytest.raises(IndexError), teacher.epoch(1):
        teacher(images.flatten())  # no photos: stops in the middle of an epoch
    assert list(tmp_path.rglob("epoch*")) == []
    with teacher.epoch(1):
        assert torch.equal(teacher(images), images.flatten(1))
    with teacher.epoch(1):
        assert torch.equal(teacher(images + 1e-7), images.flatten(1))
        with pytest.raises(TrainingError, match="step 2 of an epoch"):
            teacher(images)  # the kept epoch had one step
    with teacher.epoch(1), pytest.raises(TrainingError, match="step 1 of an epoch"):
        teacher(images.flip(0))  # the same photos in another order
    (path,) = tmp_path.rglob("epoch*")
    path.write_bytes(b"not whole")
    with teacher.epoch(1):
        teacher(images)
    assert torch.equal(load_file(path)["logits"], images.flatten(1)[None])


def test_several_processes_are_refused(recipe_file: Path, teacher: Path) -> None:
    assert read_progress(student(recipe_file, teacher, "s", remember=False), processes=2)
    with pytest.raises(RecipeError, match="remember works in a single process only"):
        read_progress(student(recipe_file, teacher, "s"), processes=2)
