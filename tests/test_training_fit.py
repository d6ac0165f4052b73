"""The one loop: learns, resumes to the same weights after any kill, runs on two processes, stops on NaN."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file

from trashlens.__main__ import main
from trashlens.errors import RecipeError, TrainingError
from trashlens.files import hash_file
from trashlens.training.checkpoint import read_checkpoint
from trashlens.training.fit import fit, loop
from trashlens.training.fit.averaging import Averaging
from trashlens.training.networks import NetworkConfig, create_network
from trashlens.training.recipe import Recipe, parse_recipe
from trashlens.training.tracking import Tracker

TIMEOUT_SEC = 120


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """accelerate keeps its precision for the life of a process; each test is a process of its own to it."""
    AcceleratorState._reset_state(reset_partial_state=True)


def recipe_of(path: Path, **changes: object) -> Recipe:
    return parse_recipe(
        str(path), [f"--{key.replace('__', '.')}={value}" for key, value in changes.items()]
    )


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same_weights(first: Path, second: Path) -> bool:
    one, other = weights_of(first), weights_of(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Interrupting(Tracker):
    """Interrupts at a step, as Ctrl-C would."""

    def __init__(self, at: int) -> None:
        super().__init__(None)
        self.at = at

    def log(self, _metrics: object, *, step: int) -> None:
        if step == self.at:
            raise KeyboardInterrupt


def test_a_run_interrupted_and_resumed_ends_with_the_same_weights(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(recipe_of(recipe_file, output=tmp_path / "whole"))
    recipe = recipe_of(recipe_file, output=tmp_path / "broken")
    with monkeypatch.context() as patched:
        # Step 9 of 12 is in the middle of the second epoch.

        patched.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Interrupting(9)))
        with pytest.raises(KeyboardInterrupt):
            fit(recipe)
    so_far = json.loads((tmp_path / "broken" / "checkpoint.json").read_text())
    assert (so_far["epoch"], len(so_far["history"])) == (1, 1)  # whole enough to be exported
    assert not same_weights(whole, tmp_path / "broken")
    fit(recipe)
    assert same_weights(whole, tmp_path / "broken")
    ended = [
        json.loads((folder / "checkpoint.json").read_text()) for folder in (whole, tmp_path / "broken")
    ]
    curves = [[{k: v for k, v in e.items() if "per_sec" not in k} for e in r["history"]] for r in ended]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 2
    assert not (whole / "state").exists()


def test_loader_processes_resume_to_the_same_weights_too(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(recipe_of(recipe_file, output=tmp_path / "whole", loader__workers=1))
    recipe = recipe_of(recipe_file, output=tmp_path / "broken", loader__workers=1)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Interrupting(9)))
        with pytest.raises(KeyboardInterrupt):
            fit(recipe)
    fit(recipe)
    assert same_weights(whole, tmp_path / "broken")


def test_a_state_is_continued_only_with_its_own_inputs_and_processes(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "start.safetensors"
    network, _ = create_network(NetworkConfig(name="test_efficientnet", weights="none"), classes=6)
    save_file(network.state_dict(), weights)
    recipe = recipe_of(recipe_file, network__weights=weights)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Interrupting(9)))
        with pytest.raises(KeyboardInterrupt):
            fit(recipe)
    (progress,) = recipe.output.glob("state/*/progress.json")
    kept = progress.read_text()
    progress.write_text(json.dumps({**json.loads(kept), "processes": 2}))
    with pytest.raises(RecipeError, match="was begun with 2 processes"):
        fit(recipe)
    progress.write_text(kept)
    save_file({name: tensor + 1 for name, tensor in network.state_dict().items()}, weights)
    with pytest.raises(RecipeError, match="holds a run of another recipe, weights or teacher"):
        fit(recipe)


def test_a_run_killed_with_signal_9_continues(recipe_file: Path, tmp_path: Path) -> None:
    whole = fit(recipe_of(recipe_file, output=tmp_path / "whole", schedule__epochs=6))
    output = tmp_path / "killed"
    command = [sys.executable, "-m", "trashlens", "train", str(recipe_file)]
    options = ["--schedule.epochs=6", f"--output={output}"]
    process = subprocess.Popen(
        [*command, *options], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + TIMEOUT_SEC
    while not list(output.glob("state/*/progress.json")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (json.loads((output / "checkpoint.json").read_text())).get("complete")
    fit(recipe_of(recipe_file, output=output, schedule__epochs=6))
    assert same_weights(whole, output)


def start_of(folder: Path) -> Path:
    """Write weights that a run can start from; their batch norm has statistics of its own."""
    torch.manual_seed(3)
    network, _ = create_network(NetworkConfig(name="test_efficientnet", weights="none"), classes=6)
    for _ in range(3):
        network.train()(torch.randn(8, 3, 32, 32) + 0.5)
    save_file(network.state_dict(), folder / "start.safetensors")
    return folder / "start.safetensors"


def test_frozen_parts_stay_as_they_are_also_when_resumed(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "network__weights": start_of(tmp_path),
        "network__frozen": "[conv_stem, bn1, blocks.0]",
        "schedule__weight_decay": 0.5,
    }
    whole = fit(recipe_of(recipe_file, output=tmp_path / "whole", **changes))
    start, ended = load_file(tmp_path / "start.safetensors"), weights_of(whole)
    frozen = ("conv_stem.", "bn1.", "blocks.0.")
    assert ended.keys() == start.keys()
    assert all(torch.equal(start[name], ended[name]) for name in start if name.startswith(frozen))
    for name in ("blocks.1.0.bn1.running_var", "blocks.1.0.conv_exp.weight", "classifier.weight"):
        assert not torch.equal(start[name], ended[name])
    assert read_checkpoint(whole).record["recipe"]["network"]["frozen"] == [
        name.removesuffix(".") for name in frozen
    ]
    recipe = recipe_of(recipe_file, output=tmp_path / "broken", **changes)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Interrupting(9)))
        with pytest.raises(KeyboardInterrupt):
            fit(recipe)
    fit(recipe)
    assert same_weights(whole, tmp_path / "broken")


def test_an_average_of_the_weights_by_hand() -> None:
    network = torch.nn.BatchNorm1d(1)
    averaging = Averaging(network, ema=0.75, keep_start=0.0, device=torch.device("cpu"))
    averaging.begin(network)
    for value in (8.0, 16.0, 0.0):
        torch.nn.init.constant_(network.weight, value)
        network.running_mean.fill_(-value)
        averaging.update(network)
    # The first is the average; then 3/4 of it and 1/4 of the next: 8, 10, 7.5.
    with averaging.applied(network):
        assert (network.weight.item(), network.running_mean.item()) == (7.5, -7.5)
    assert (network.weight.item(), network.running_mean.item()) == (0.0, 0.0)


@pytest.mark.parametrize(("ema", "trained"), [(0.0, 16.0), (0.5, 12.0)])
def test_a_share_of_the_start_by_hand(ema: float, trained: float) -> None:
    network = torch.nn.BatchNorm1d(1)
    averaging = Averaging(network, ema=ema, keep_start=0.25, device=torch.device("cpu"))
    torch.nn.init.constant_(network.weight, 4.0)  # as a head that another process fitted arrives
    averaging.begin(network)
    for value in (8.0, 16.0):
        torch.nn.init.constant_(network.weight, value)
        network.running_var.fill_(value)
        network.num_batches_tracked.add_(1)
        averaging.update(network)
    with averaging.applied(network):
        assert network.weight.item() == 0.75 * trained + 0.25 * 4
        assert network.running_var.item() == 0.75 * trained + 0.25 * 1
    assert (network.weight.item(), network.num_batches_tracked.item()) == (16.0, 2)


AVERAGED = {
    "schedule__ema": 0.8,
    "schedule__keep_start": 0.3,
    "network__frozen": "[conv_stem, bn1]",
}


def test_averaged_weights_are_kept_and_survive_a_resumed_run(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**AVERAGED, "network__weights": start_of(tmp_path)}
    whole = fit(recipe_of(recipe_file, output=tmp_path / "whole", **changes))
    recipe = recipe_of(recipe_file, output=tmp_path / "broken", **changes)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Interrupting(9)))
        with pytest.raises(KeyboardInterrupt):
            fit(recipe)
    fit(recipe)
    assert same_weights(whole, tmp_path / "broken")
    start, kept = load_file(tmp_path / "start.safetensors"), weights_of(whole)
    assert torch.equal(start["conv_stem.weight"], kept["conv_stem.weight"])
    changes["schedule__keep_start"] = 0.9
    near = weights_of(fit(recipe_of(recipe_file, output=tmp_path / "near", **changes)))
    name = "conv_head.weight"
    assert (near[name] - start[name]).norm() < 0.5 * (kept[name] - start[name]).norm()


def test_training_learns_and_the_checkpoint_is_the_best_epoch(recipe_file: Path) -> None:
    folder = fit(recipe_of(recipe_file, schedule__epochs=8))
    record = json.loads((folder / "checkpoint.json").read_text())
    accuracies = [epoch["val/accuracy"] for epoch in record["history"]]
    assert record["complete"]
    assert record["val"]["val/accuracy"] == max(accuracies) >= 0.8  # six colours; chance is 0.17
    assert record["epoch"] == max(
        i + 1 for i, value in enumerate(accuracies) if value == max(accuracies)
    )
    assert record["history"][-1]["train/loss"] < record["history"][0]["train/loss"]
    checkpoint = read_checkpoint(folder)
    assert checkpoint.preprocess.size_px == 32
    assert not checkpoint.network.training


def test_the_answers_to_validation_and_test_photos_are_kept(recipe_file: Path) -> None:
    folder = fit(recipe_of(recipe_file))
    record = json.loads((folder / "checkpoint.json").read_text())
    predictions = json.loads((folder / "predictions.json").read_text())
    assert set(predictions) == {"val", "test"}
    for split, one in predictions.items():
        assert one["paths"] == [
            f"{label}/{label}{i}.jpg" for label in record["labels"] for i in range(3)
        ]
        assert one["labels"] == [label for label in range(6) for _ in range(3)]
        probabilities = np.array(one["probabilities"])
        assert probabilities.shape == (18, 6)
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-4)
        accuracy = (probabilities.argmax(axis=1) == one["labels"]).mean()
        wanted = record["val"]["val/accuracy"] if split == "val" else record["test"]["accuracy"]
        assert accuracy == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, "baseline test_efficientnet"), ("study 1", "study 1")]
)
def test_the_run_belongs_to_a_group(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    seen = {}

    def record(*_: object, **options: object) -> object:
        seen.update(options)
        return contextlib.nullcontext(Tracker(None))

    monkeypatch.setattr(loop, "track", record)
    fit(recipe_of(recipe_file, schedule__epochs=1), group=given)
    assert seen["group"] == expected


def test_a_student_learns_from_the_checkpoint_of_its_teacher(recipe_file: Path, tmp_path: Path) -> None:
    teacher = fit(recipe_of(recipe_file, role="teacher", output=tmp_path / "teacher"))
    before = weights_of(teacher)
    changes = {"role": "student", "objective__distill__teacher": teacher, "output": tmp_path / "student"}
    student = fit(recipe_of(recipe_file, **changes))
    history = json.loads((student / "checkpoint.json").read_text())["history"]
    assert {"train/loss", "train/supervised", "train/kd"} <= set(history[0])
    after = weights_of(teacher)
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(RecipeError, match="normalises differently"):
        fit(
            recipe_of(
                recipe_file, **{**changes, "output": tmp_path / "s2", "preprocess__mean": "[0,0,0]"}
            )
        )


def test_a_complete_run_is_not_repeated_and_another_recipe_is_refused(recipe_file: Path) -> None:
    folder = fit(recipe_of(recipe_file))
    changed = (folder / "model.safetensors").stat().st_mtime_ns
    assert fit(recipe_of(recipe_file)) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == changed
    with pytest.raises(RecipeError, match="holds a run of another recipe"):
        fit(recipe_of(recipe_file, seed=5))


def test_seeds_differ_and_are_repeatable(recipe_file: Path, tmp_path: Path) -> None:
    first, again, other = (
        fit(recipe_of(recipe_file, output=tmp_path / name, seed=seed, schedule__epochs=1))
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert same_weights(first, again)
    assert not same_weights(first, other)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_loss_that_is_not_finite_stops_the_run(recipe_file: Path, precision: str) -> None:
    with pytest.raises(
        TrainingError,
        match=r"^The loss became (nan|inf) at step \d+ \(epoch \d\)\. Last good checkpoint: ",
    ):
        fit(
            recipe_of(
                recipe_file, precision=precision, schedule__learning_rate=1e38, schedule__max_grad_norm=0
            )
        )


def test_accelerate_launch_trains_on_two_processes(recipe_file: Path, tmp_path: Path) -> None:
    launch = [
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes=2",
        "--num_cpu_threads_per_process=1",
    ]
    command = [sys.executable, "-m", *launch, "--main_process_port=0", "-m", "trashlens", "train"]
    options = ["--schedule.ema=0.8", "--schedule.keep_start=0.3", "--network.frozen=[conv_stem, bn1]"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*command, str(recipe_file), *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SEC,
    )
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert record["environment"]["processes"] == 2
    assert record["complete"]
    # 48 photos in batches of 8 on each of 2 processes: 3 steps an epoch.
    assert "6/6" in result.stderr
    assert result.stderr.count("Checkpoint:") == 1


def test_the_command_says_what_is_wrong_and_exits_2(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "no-such-recipe"]) == 2
    assert main(["train", str(recipe_file), "--network.name=no_such_network"]) == 2
    assert main(["train", str(recipe_file), f"--network.weights={tmp_path / 'none.safetensors'}"]) == 2
    assert main(["train", str(recipe_file), "--data.short_side_px=99"]) == 2
    assert main(["train", str(recipe_file), "--data.split=random", "--data.seed=3"]) == 2
    assert main(["train", str(recipe_file), "--loader.batch_size=1000"]) == 2
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if line.startswith("trashlens train:")]
    assert len(said) == 6
    assert "There is no recipe no-such-recipe" in said[0]
    assert "timm has no network 'no_such_network'" in said[1]
    assert "cannot be read" in said[2]
    assert "was prepared otherwise" in said[3]
    assert "was prepared otherwise" in said[4]
    assert "fewer training photos than loader.batch_size=1000" in said[5]


def test_photos_prepared_by_an_older_manifest_are_refused(
    recipe_file: Path, processed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(processed.parent, folder)
    recipe = recipe_of(recipe_file, data__folder=folder, output=tmp_path / "late")
    recipe.data.manifest.write_text("made anew since")
    with pytest.raises(
        RecipeError, match=r"prepared by another trashnet-official\.csv than the present one"
    ):
        fit(recipe)


def test_drawn_grounds_and_mixed_pairs_go_through_training_and_the_objects_are_kept(
    recipe_file: Path,
) -> None:
    recipe = recipe_of(
        recipe_file, augment__background=0.5, augment__light=0.2, augment__mixup=0.2, schedule__epochs=1
    )
    folder = fit(recipe)
    assert np.isfinite(json.loads((folder / "checkpoint.json").read_text())["history"][0]["train/loss"])
    kept = {path.stem for path in (recipe.data.folder / "cutouts").iterdir()}
    assert kept == {hash_file(path) for path in (recipe.data.processed / "train").rglob("*.jpg")}
