"""Pruned networks: smaller by the target, the same outside, rebuilt from their files; bundles read back."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
import torch
from conftest import LABELS
from safetensors.torch import load_file, save_file

from trashlens.__main__ import main
from trashlens.bundle import Bundle
from trashlens.errors import ExportError, RecipeError, TrainingError
from trashlens.image import Preprocess
from trashlens.training.checkpoint import read_checkpoint, write_checkpoint
from trashlens.training.data import read_photos
from trashlens.training.export import ExportConfig, export_bundle
from trashlens.training.graph import quantise, to_onnx
from trashlens.training.networks import NetworkConfig, create_network
from trashlens.training.parts import answer_once_in_use
from trashlens.training.pruning import (
    PruneConfig,
    compare_bundles,
    count_cost,
    count_macs,
    format_comparison,
    prune_checkpoint,
)
from trashlens.training.pruning.cut import take_statistics
from trashlens.training.pruning.unfolding import unfold_network
from trashlens.training.recipe import parse_recipe

SIZE_PX = 64
NAME = "mobilenetv2_035"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a narrow MobileNetV2 with weights that nobody trained."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    recipe = parse_recipe(
        "baseline",
        [f"--network.name={NAME}", "--network.weights=none", f"--preprocess.size_px={SIZE_PX}"],
    )
    torch.manual_seed(0)
    network, _ = create_network(recipe.network, classes=len(LABELS))
    network.train()(torch.randn(16, 3, SIZE_PX, SIZE_PX))  # statistics that are not zero and one
    torch.nn.init.normal_(network.classifier.bias)  # what is all zero is not exported
    record = {
        **{"recipe": recipe.to_json(), "labels": list(LABELS), "inputs": {}, "environment": {}},
        **{"data": {"manifest_sha256": "0" * 64, "split": "official"}, "weights": {}},
        **{"epoch": 1, "history": []},
    }
    write_checkpoint(folder, network, record)
    return folder


def settings(processed: Path, output: Path, **changes: object) -> PruneConfig:
    given = {"output": output, "processed": processed, "photos": 32, "steps": 6, "round_to": 4}
    return PruneConfig(**{**given, **changes})


@pytest.fixture(scope="module")
def pruned(source: Path, processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "pruned"
    return prune_checkpoint(source, settings(processed, output, macs_share=0.5))


@pytest.fixture(scope="module")
def bundles(
    source: Path, pruned: Path, processed: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The bundles of both, exported through the parity gate."""
    folder, config = tmp_path_factory.mktemp("models"), ExportConfig(photos=processed / "val")
    return export_bundle(source, folder / "whole", config), export_bundle(
        pruned, folder / "pruned", config
    )


def macs(folder: Path) -> int:
    return count_macs(read_checkpoint(folder).network, torch.zeros(1, 3, SIZE_PX, SIZE_PX))


def test_the_target_is_met_and_input_and_output_stay(source: Path, pruned: Path) -> None:
    share = macs(pruned) / macs(source)
    assert 0.45 < share <= 0.5  # it stops in the midst of a step
    checkpoint = read_checkpoint(pruned)
    steps = checkpoint.record["pruning"]["steps"]
    assert steps[-1]["macs_share"] == pytest.approx(share)
    assert all(step["macs_share"] > 0.5 for step in steps[:-1])  # it stops as soon as it may
    assert checkpoint.labels == LABELS
    assert checkpoint.preprocess == read_checkpoint(source).preprocess
    with torch.inference_mode():
        logits = checkpoint.network(torch.randn(2, 3, SIZE_PX, SIZE_PX))
    assert logits.shape == (2, len(LABELS))
    assert logits.isfinite().all()


def test_statistics_are_of_batches_that_weigh_alike() -> None:
    values = torch.arange(192.0)
    norm = torch.nn.BatchNorm2d(1)
    take_statistics(norm, values.view(-1, 1, 1, 1))
    torch.testing.assert_close(norm.running_mean, values.mean()[None])
    torch.testing.assert_close(norm.running_var, (values[:96].var() + values[96:].var())[None] / 2)
    assert (norm.momentum, norm.training) == (torch.nn.BatchNorm2d(1).momentum, False)


class TwoHeads(torch.nn.Module):
    """A toy of timm's InceptionV3, whose auxiliary head answers too whenever `aux_logits` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.aux_logits = True
        self.stem = torch.nn.Conv2d(3, 32, 3, stride=4)
        self.bn = torch.nn.BatchNorm2d(32)
        self.body = torch.nn.Conv2d(32, 32, 3)
        self.AuxLogits = torch.nn.Linear(32, len(LABELS))
        self.fc = torch.nn.Linear(32, len(LABELS))

    def get_classifier(self) -> torch.nn.Module:
        return self.fc

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        x = self.bn(self.stem(x)).relu()
        last = self.fc(self.body(x).relu().mean((2, 3)))
        return (last, self.AuxLogits(x.mean((2, 3)))) if self.aux_logits else last


def test_a_pruned_network_has_no_auxiliary_head(
    source: Path, processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_checkpoint(source)
    recipe = whole.record["recipe"]
    arguments = {"aux_logits": True, "transform_input": False}
    inception = {**recipe["network"], "name": "inception_v3", "arguments": arguments}
    record = {**whole.record, "recipe": {**recipe, "network": inception}}
    torch.manual_seed(0)
    trained = dataclasses.replace(whole, network=answer_once_in_use(TwoHeads()).eval(), record=record)
    monkeypatch.setattr("trashlens.training.pruning.cut.read_checkpoint", lambda _: trained)
    output = prune_checkpoint(source, settings(processed, tmp_path / "out", macs_share=0.6))
    parts = {name.split(".")[0] for name in load_file(output / "model.safetensors")}
    assert parts == {"stem", "bn", "body", "fc"}
    written = json.loads((output / "checkpoint.json").read_text())["recipe"]["network"]
    assert written["arguments"] == {"transform_input": False}
    assert hasattr(trained.network, "AuxLogits")  # what was pruned is a copy


@pytest.mark.parametrize(
    "changes",
    [
        {"importance": "magnitude", "scope": "alike"},
        {"scope": "layer", "macs_share": None, "parameters_share": 0.6},
    ],
    ids=str,
)
def test_other_measures_meet_their_targets_too(
    source: Path, processed: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    config = settings(processed, tmp_path / "out", **{"macs_share": 0.6, **changes})
    left = read_checkpoint(prune_checkpoint(source, config)).record["pruning"]["steps"][-1]
    name = "macs_share" if config.macs_share else "parameters_share"
    assert left[name] <= 0.6


def test_the_record_builds_the_same_network_again(pruned: Path) -> None:
    tensors = load_file(pruned / "model.safetensors")
    state = read_checkpoint(pruned).network.state_dict()
    assert {name: one.shape for name, one in state.items()} == {n: t.shape for n, t in tensors.items()}
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
    config = NetworkConfig(name=NAME, weights=str(pruned / "model.safetensors"), widths="weights")
    network, report = create_network(config, classes=len(LABELS))
    assert report.missing == report.unused == ()
    for name, module in network.named_modules():  # what a layer says of itself is what it holds
        if isinstance(module, torch.nn.Conv2d):
            shape = (module.out_channels, module.in_channels // module.groups, *module.kernel_size)
            assert module.weight.shape == shape, name


def test_a_pruned_network_is_exported_like_any_other(
    source: Path, pruned: Path, bundles: tuple[Path, Path]
) -> None:
    before, after = map(Bundle.load, bundles)
    assert after.parameters < before.parameters
    comparison = compare_bundles(before, after, rounds=5)
    assert comparison["shares"]["macs"] == pytest.approx(macs(pruned) / macs(source))
    assert comparison["shares"]["layers"] == 1
    assert comparison["shares"]["size_bytes"] < 1
    lost = before.metrics["val"]["accuracy"] - after.metrics["val"]["accuracy"]
    assert comparison["accuracy_lost"]["val"] == pytest.approx(lost)
    assert f"{comparison['shares']['macs']:.1%}" in format_comparison(comparison)


@pytest.mark.parametrize("weights", ["float32", "float16"])
def test_a_graph_costs_what_its_network_costs(source: Path, weights: str) -> None:
    network = read_checkpoint(source).network
    cost = count_cost(to_onnx(network, size_px=SIZE_PX, weights=weights), size_px=SIZE_PX)
    assert cost.macs == count_macs(network, torch.zeros(1, 3, SIZE_PX, SIZE_PX))
    layers = [one for one in network.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.Linear)]
    assert cost.layers == len(layers)
    # Folded, a batch norm leaves a bias a channel of its two weights.
    norms = sum(
        one.num_features
        for one in network.modules()
        if hasattr(one, "num_features") and hasattr(one, "eps")
    )
    assert cost.parameters == sum(one.numel() for one in network.parameters()) - norms


def test_linear_layers_are_counted_at_every_place_and_int8_is_refused(processed: Path) -> None:
    arguments = {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16], "conv_mlp": False}
    config = NetworkConfig(name="convnext_atto", weights="none", arguments=arguments)
    network, _ = create_network(config, classes=len(LABELS))
    graph = to_onnx(network, size_px=SIZE_PX)
    counted = count_macs(network, torch.zeros(1, 3, SIZE_PX, SIZE_PX))
    assert count_cost(graph, size_px=SIZE_PX).macs == counted
    images, _ = read_photos(processed / "train", LABELS, Preprocess(size_px=SIZE_PX))
    with pytest.raises(ExportError, match="int8"):
        count_cost(quantise(graph, images[:4]), size_px=SIZE_PX)


def test_accuracies_on_other_photos_are_not_compared(bundles: tuple[Path, Path]) -> None:
    before, after = map(Bundle.load, bundles)
    other = {**after.provenance, "data": {**after.provenance["data"], "manifest_sha256": "1" * 64}}
    elsewhere = dataclasses.replace(after, provenance=other)
    assert compare_bundles(before, elsewhere, rounds=2)["accuracy_lost"] == {}


def test_a_bundle_becomes_a_network_to_train_again(
    pruned: Path, bundles: tuple[Path, Path], processed: Path
) -> None:
    bundle = Bundle.load(bundles[1])
    images, _ = read_photos(processed / "train", LABELS, Preprocess(size_px=SIZE_PX))
    network = unfold_network(bundle, images)
    photos = torch.from_numpy(images)
    with torch.inference_mode():
        expected = read_checkpoint(pruned).network(photos)
        torch.testing.assert_close(network(photos), expected, atol=1e-3, rtol=1e-3)
        # Batch statistics are those it answers with: in training mode it says nearly the same.
        network.train()
        torch.testing.assert_close(network(photos), expected, atol=0.3, rtol=0.3)


def test_pruning_a_bundle_needs_no_checkpoint(
    source: Path,
    bundles: tuple[Path, Path],
    processed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "pruned"
    arguments = [
        f"--processed={processed}",
        "--photos=32",
        "--steps=6",
        "--round_to=4",
        f"--output={output}",
    ]
    assert main(["prune", str(bundles[0]), *arguments, "--macs_share=0.6"]) == 0
    assert macs(output) <= 0.6 * macs(source)
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert words[:3] == ["trashlens", "train", "student"]
    recipe = parse_recipe(words[2], words[3:])
    create_network(recipe.network, classes=len(LABELS))
    assert recipe.preprocess.size_px == SIZE_PX
    assert json.loads((output / "checkpoint.json").read_text())["recipe"]["role"] == "baseline"


def test_the_next_command_names_what_the_network_was_built_with(
    processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"layers": [1, 1], "channels": [32, 32]}
    given = ["--network.name=resnetv2_18", f"--network.arguments={json.dumps(arguments)}"]
    recipe = parse_recipe("baseline", [*given, "--network.weights=none", "--preprocess.size_px=64"])
    torch.manual_seed(0)
    network, _ = create_network(recipe.network, classes=len(LABELS))
    record = {
        **{"recipe": recipe.to_json(), "labels": list(LABELS), "inputs": {}, "environment": {}},
        **{"data": {}, "weights": {}, "epoch": 1, "history": []},
    }
    write_checkpoint(tmp_path / "whole", network, record)
    options = [f"--processed={processed}", "--photos=32", f"--output={tmp_path / 'out'}"]
    assert main(["prune", str(tmp_path / "whole"), *options, "--macs_share=0.8"]) == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    next_recipe = parse_recipe(words[2], words[3:])
    assert next_recipe.network.arguments == arguments
    create_network(next_recipe.network, classes=len(LABELS))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"macs_share": None}, "needs a target"),
        ({"macs_share": 1.5}, "between 0 and 1"),
        ({"max_share": 0.0}, "max_share"),
        ({"photos": 8}, "at least 32"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_targets_that_cannot_be_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PruneConfig(**changes)


def test_a_target_out_of_reach_is_said_and_nothing_written(
    source: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    options = [
        f"--processed={processed}",
        "--photos=32",
        "--steps=6",
        "--round_to=4",
        f"--output={output}",
    ]
    assert main(["prune", str(source), *options, "--macs_share=0.1", "--max_share=0.2"]) == 2
    assert "Choose larger targets" in capsys.readouterr().err
    assert not output.exists()
    assert main(["prune", str(source), *options, "--macs_share=2"]) == 2
    error = capsys.readouterr().err
    assert "between 0 and 1" in error
    assert "Traceback" not in error
    with pytest.raises(TrainingError, match="overwritten"):
        prune_checkpoint(source, settings(processed, source))


def test_widths_need_a_file_of_that_network(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="own file"):
        NetworkConfig(name=NAME, weights="none", widths="weights")
    tensors = load_file(source / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k != "bn1.bias"}, tmp_path / "part.safetensors")
    for file, classes in (("part.safetensors", len(LABELS)), ("whole.safetensors", 4)):
        save_file(tensors, tmp_path / "whole.safetensors")
        config = NetworkConfig(name=NAME, weights=str(tmp_path / file), widths="weights")
        with pytest.raises(RecipeError, match="holds no pruned"):
            create_network(config, classes=classes)
