"""Networks from timm; weights whole or in part; a head that starts as a linear probe."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from trashlens.errors import RecipeError
from trashlens.training.networks import (
    NetworkConfig,
    create_network,
    fit_head,
    freeze,
    train_unfrozen,
)

TOY = "test_efficientnet"


def toy(**changes: object) -> NetworkConfig:
    return NetworkConfig(**{"name": TOY, "weights": "none", **changes})


def test_a_network_answers_with_a_logit_a_class() -> None:
    network, report = create_network(toy(), classes=6)
    assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 6)
    assert str(report) == "weights: none"


def test_a_partial_file_is_loaded_and_reported(tmp_path: Path) -> None:
    source, _ = create_network(toy(), classes=10)
    tensors = {k: v for k, v in source.state_dict().items() if not k.startswith("blocks.1.")}
    save_file({**tensors, "extra.weight": torch.zeros(3)}, tmp_path / "part.safetensors")
    network, report = create_network(toy(weights=str(tmp_path / "part.safetensors")), classes=6)
    state = network.state_dict()
    assert torch.equal(state["conv_stem.weight"], tensors["conv_stem.weight"])
    assert set(report.unused) == {"extra.weight", "classifier.weight", "classifier.bias"}
    assert {"classifier.weight", "classifier.bias"} < set(report.missing)
    assert any(name.startswith("blocks.1.") for name in report.missing)
    assert report.loaded == len(tensors) - 2
    assert "part.safetensors" in str(report)
    assert f"{len(report.missing)} start fresh" in str(report)


def test_tensors_are_renamed_by_prefix(tmp_path: Path) -> None:
    source, _ = create_network(toy(), classes=6)
    renamed = {
        k.replace("bn1.", "old.norm."): v + 1
        for k, v in source.state_dict().items()
        if k.startswith("bn1.")
    }
    save_file(renamed, tmp_path / "renamed.safetensors")
    config = toy(weights=str(tmp_path / "renamed.safetensors"), rename={"old.norm": "bn1"})
    network, report = create_network(config, classes=6)
    assert report.unused == ()
    assert torch.equal(network.state_dict()["bn1.weight"], source.state_dict()["bn1.weight"] + 1)


def test_part_of_a_network_takes_its_tensors_from_the_whole_on_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, _ = create_network(toy(), classes=10)
    create = timm.create_model

    def fetch(name: str, *, pretrained: bool = False, **options: object) -> torch.nn.Module:
        if not pretrained:
            return create(name, **options)
        assert (name, options) == (TOY, {})  # the whole, as it is published
        return whole

    monkeypatch.setattr(timm, "create_model", fetch)
    network, report = create_network(toy(weights="hub", rename={"bn1": "gone"}), classes=6)
    state = network.state_dict()
    assert torch.equal(state["conv_stem.weight"], whole.state_dict()["conv_stem.weight"])
    assert report.source == "hub"
    assert {"gone.weight", "classifier.weight"} < set(report.unused)
    assert f"{report.loaded} tensors from hub" in str(report)


def test_what_cannot_be_created_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"timm has no network 'resnet51' \(it has: .*resnet"):
        create_network(NetworkConfig(name="resnet51"), classes=6)
    with pytest.raises(RecipeError, match="cannot be read"):
        create_network(toy(weights=str(tmp_path / "none.safetensors")), classes=6)
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(RecipeError, match="cannot be read"):
        create_network(toy(weights=str(tmp_path / "text.safetensors")), classes=6)
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(RecipeError, match=r"No tensor of .* fits the network"):
        create_network(toy(weights=str(tmp_path / "other.safetensors")), classes=6)
    with pytest.raises(RecipeError, match=r"could not be created with .*'no_such_argument': 1"):
        create_network(toy(arguments={"no_such_argument": 1}), classes=6)
    with pytest.raises(RecipeError, match="AssertionError: AssertionError"):  # timm says nothing more
        create_network(
            NetworkConfig(name="resnet50", weights="none", arguments={"output_stride": 7}), classes=6
        )
    with pytest.raises(
        RecipeError, match=r"Without a connection give a local file with --network\.weights"
    ):
        create_network(toy(weights="hub"), classes=6)


@pytest.mark.parametrize(
    "config",
    [
        toy(),
        NetworkConfig(name="test_resnet", weights="none"),
        NetworkConfig(name="test_nfnet", weights="none"),
    ],
    ids=lambda config: config.name,
)
def test_the_head_answers_as_the_probe_does(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    network, _ = create_network(config, classes=3)
    before = {
        k: v.clone() for k, v in network.state_dict().items() if "classifier" not in k and "fc" not in k
    }
    labels = torch.arange(3).repeat(8)
    images = torch.randn(24, 3, 32, 32) * 0.1
    for label in range(3):
        images[labels == label, label] += 3
    accuracy = fit_head(network, [(images[:12], labels[:12]), (images[12:], labels[12:])])
    logits = network.eval()(images)
    assert accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert accuracy > 0.9
    assert all(torch.equal(before[name], network.state_dict()[name]) for name in before)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_frozen_parts_take_no_gradient_and_stay_in_evaluation() -> None:
    network, _ = create_network(toy(), classes=6)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    freeze(network, ["conv_stem", "bn1", "blocks.0"])
    train_unfrozen(network, toy(frozen=("conv_stem", "bn1", "blocks.0")))
    assert network.training
    network(torch.randn(4, 3, 32, 32) * 5 + 3).sum().backward()
    frozen = ("conv_stem.", "bn1.", "blocks.0.")
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith(frozen), name
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith(frozen))
    assert not torch.equal(after["blocks.1.0.bn1.running_mean"], before["blocks.1.0.bn1.running_mean"])
    train_unfrozen(network, toy())
    assert network.bn1.training


def test_kept_batch_norm_trains_its_weights_and_not_its_statistics() -> None:
    network, _ = create_network(toy(), classes=6)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_unfrozen(network, toy(batch_norm="kept"))
    assert network.training
    images = torch.randn(4, 3, 32, 32) * 5 + 3
    torch.testing.assert_close(network(images)[:1], network(images[:1]))  # no photo sees the others
    network(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_what_cannot_be_frozen_is_a_sentence() -> None:
    network, _ = create_network(toy(), classes=6)
    with pytest.raises(
        RecipeError, match=r"has no part 'layer9' to freeze; it is made of conv_stem, bn1"
    ):
        freeze(network, ["conv_stem", "layer9"])
    with pytest.raises(RecipeError, match="has no part '' to freeze"):
        freeze(network, [""])
    with pytest.raises(RecipeError, match="leaves nothing to train"):
        freeze(network, [name for name, _ in network.named_children()])
