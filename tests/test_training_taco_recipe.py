"""The lightweight recipe: from annotations to a checkpoint, with network and data in files of their own."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
import yaml
from accelerate.state import AcceleratorState
from taco_server import TacoServer, draw_photo, read_excerpt, serve_taco
from timm.layers import SelectAdaptivePool2d
from torch import nn

from trashlens.__main__ import main
from trashlens.training.data import TACO
from trashlens.training.recipe import parse_recipe

MANIFEST = Path(__file__).parents[1] / "data" / "taco-official.csv"


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """accelerate keeps its precision for the life of a process; each test is a process of its own to it."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def server() -> Iterator[TacoServer]:
    with serve_taco() as server:
        annotations = read_excerpt()
        for image in annotations["images"]:
            server.files[f"/{image['id']}.jpg"] = draw_photo(annotations, image)
            image["flickr_url"] = f"{server.address}/{image['id']}.jpg"
        server.files["/annotations.json"] = json.dumps(annotations).encode()
        server.faults["/0.jpg"] = ["cut"]
        yield server


def count_layers(network: nn.Module) -> int:
    """Return the number of convolutions, norms, activations, pools, flattenings and linear layers."""
    norms = (nn.modules.batchnorm._BatchNorm,)
    leaves = [m for m in network.modules() if isinstance(m, norms) or not list(m.children())]
    return sum(not isinstance(m, (nn.Identity, SelectAdaptivePool2d)) for m in leaves)


def test_the_recipe_says_what_the_network_has() -> None:
    recipe = parse_recipe("taco-mobilenet")
    whole, small = (
        timm.create_model(name, num_classes=6, **arguments)
        for name, arguments in (
            ("mobilenetv3_large_100", {}),
            (recipe.network.name, recipe.network.arguments),
        )
    )
    assert (count_layers(whole), count_layers(small)) == (160, 84)
    sizes = [sum(p.numel() for p in network.parameters()) / 1e6 for network in (whole, small)]
    assert sizes == pytest.approx([4.2, 0.85], abs=0.01)
    assert small(torch.zeros(1, 3, recipe.preprocess.size_px, recipe.preprocess.size_px)).shape == (1, 6)


def test_the_recipe_is_the_one_that_is_asked_for() -> None:
    recipe = parse_recipe("taco-mobilenet")
    assert recipe.data.source == TACO
    assert (recipe.preprocess.size_px, recipe.augment.size_px, recipe.loader.batch_size) == (
        156,
        156,
        64,
    )
    assert (recipe.augment.random_ops, recipe.schedule.epochs) == (2, 200)
    assert (recipe.schedule.optimizer, recipe.schedule.learning_rate) == ("sgd", 0.1)
    for loss in ("focal", "f1"):
        assert parse_recipe("taco-mobilenet", [f"--objective.loss={loss}"]).objective.loss == loss


def write_settings(tmp_path: Path, server: TacoServer) -> list[str]:
    """Write one file of network and one of data settings; return the options that name them."""
    network = {"name": "test_efficientnet", "weights": "none", "arguments": {}}
    data = {
        "source": "taco",
        "folder": str(tmp_path / "data"),
        "short_side_px": 48,
        "taco": {"annotations": f"{server.address}/annotations.json", "wait_s": 0.01},
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / MANIFEST.name).write_bytes(MANIFEST.read_bytes())
    for name, settings in (("network", network), ("data", data)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    return [f"--network={tmp_path / 'network.yaml'}", "--data", str(tmp_path / "data.yaml")]


def test_network_and_data_come_from_files_of_their_own(server: TacoServer, tmp_path: Path) -> None:
    options = write_settings(tmp_path, server)
    recipe = parse_recipe("taco-mobilenet", [*options, "--data.taco.margin=0.3"])
    assert (recipe.network.name, recipe.network.arguments) == ("test_efficientnet", {})
    assert (recipe.data.short_side_px, recipe.data.taco.margin) == (48, 0.3)
    assert recipe.schedule == parse_recipe("taco-mobilenet").schedule
    record = recipe.to_json()["data"]
    assert re.fullmatch(r"annotations-[0-9a-f]{8}\.json", record["taco"]["annotations"])
    assert str(tmp_path) not in json.dumps(record)
    official = parse_recipe("taco-mobilenet").to_json()["data"]["taco"]
    assert official["annotations"] == "annotations.json"
    faster = dataclasses.replace(recipe.data.taco, connections=2)
    data = dataclasses.replace(recipe.data, taco=faster)
    assert dataclasses.replace(recipe, data=data).to_json() == recipe.to_json()


def test_from_annotations_to_a_checkpoint_of_any_classes(
    server: TacoServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "".join(
        f"{entry['name']},{'plastic things' if 'lastic' in entry['name'] else 'others'}\n"
        for entry in read_excerpt()["categories"]
    )
    (tmp_path / "two.csv").write_text(table)
    options = [
        *write_settings(tmp_path, server),
        f"--data.taco.classes={tmp_path / 'two.csv'}",
        f"--output={tmp_path / 'run'}",
        *("--loader.batch_size=8", "--schedule.epochs=2", "--precision=no"),
        *("--preprocess.size_px=32", "--augment.size_px=32", "--objective.loss=focal"),
    ]
    assert main(["train", "taco-mobilenet", *options]) == 0
    record = json.loads((tmp_path / "run/checkpoint.json").read_text())
    assert record["labels"] == ["others", "plastic things"]
    assert record["complete"]
    assert record["data"]["dataset"] == "TACO"
    assert len(record["history"]) == 2
    assert record["test"]["photos"] == sum(record["data"]["photos"]["test"].values()) > 0
    assert (tmp_path / "run/model.safetensors").is_file()
    # Crops of other classes are not taken for these.
    changed = [*options, "--data.taco.classes=trashnet", f"--output={tmp_path / 'other'}"]
    capsys.readouterr()
    assert main(["train", "taco-mobilenet", *changed]) == 2
    assert "holds crops of other classes" in capsys.readouterr().err
    # Nor are those by an earlier state of the table.
    (tmp_path / "two.csv").write_text(table.replace("others", "rest"))
    assert main(["train", "taco-mobilenet", *options, f"--output={tmp_path / 'other'}"]) == 2
    assert "holds crops of other classes" in capsys.readouterr().err
