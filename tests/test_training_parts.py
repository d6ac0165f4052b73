"""Top-level parts: what a frozen share holds, and a head that answers in training alone."""

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trashlens.errors import RecipeError
from trashlens.training.networks import (
    NetworkConfig,
    create_network,
    freeze,
    frozen_parts,
    train_unfrozen,
)
from trashlens.training.objectives import ObjectiveConfig, Supervised, WithAuxiliary
from trashlens.training.parts import answer_once_in_use, drop_auxiliary, name_parts, share_of_parts


def unmade(name: str, **arguments: object) -> nn.Module:
    """A network without numbers, which takes no time."""
    with torch.device("meta"):
        return timm.create_model(name, num_classes=6, **arguments)


class TwoAnswers(nn.Module):
    """A toy of timm's InceptionV3: two answers whenever `aux_logits` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.aux_logits = True
        self.body = nn.Linear(4, 4)
        self.AuxLogits = nn.Linear(4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.body(x)
        return (self.fc(x), self.AuxLogits(x)) if self.aux_logits else self.fc(x)


@pytest.mark.parametrize("name", ["resnet50", "resnet18"])
def test_a_resnet_has_the_ten_parts_of_the_studys_source(name: str) -> None:
    network = unmade(name)
    parts = name_parts(network)
    assert len(parts) == 10
    assert parts[0] == "conv1"
    assert parts[-1] == "fc"
    assert share_of_parts(network, 0) == ()
    assert share_of_parts(network, 0.6) == ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2")
    assert share_of_parts(network, 0.7)[-1] == "layer3"
    assert share_of_parts(network, 0.9) == tuple(parts[:-1])


def test_stages_in_one_box_are_parts_themselves() -> None:
    parts = name_parts(unmade("mobilenetv2_100"))
    blocks = [f"blocks.{stage}" for stage in range(7)]
    assert parts == ["conv_stem", "bn1", *blocks, "conv_head", "bn2", "global_pool", "classifier"]


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "inception_v3", "resnetv2_50"])
def test_no_share_reaches_the_head(name: str) -> None:
    arguments = {"aux_logits": True} if name == "inception_v3" else {}
    network = unmade(name, **arguments)
    assert "AuxLogits" not in name_parts(network)
    freeze(network, share_of_parts(network, 0.9))
    trained = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    head = name_parts(network)[-1]
    assert head in trained
    assert trained <= {head, "AuxLogits"}
    with pytest.raises(RecipeError, match="leaves no head"):
        share_of_parts(network, 1.0)


def test_a_frozen_share_stays_in_evaluation_and_takes_no_gradient() -> None:
    config = NetworkConfig(name="test_efficientnet", weights="none", frozen_share=0.4)
    network, _ = create_network(config, classes=3)
    names = frozen_parts(network, config)
    assert names == ("conv_stem", "bn1", "blocks.0", "blocks.1")
    freeze(network, names)
    train_unfrozen(network, config)
    modes = {name: network.get_submodule(name).training for name in name_parts(network)}
    assert {name for name, training in modes.items() if not training} == set(names)
    assert not any(p.requires_grad for p in network.get_submodule("blocks.1").parameters())
    assert all(p.requires_grad for p in network.get_submodule("blocks.2").parameters())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"frozen_share": 1.0}, "head is always trained"),
        ({"frozen_share": -0.1}, "head is always trained"),
        ({"frozen_share": 0.5, "frozen": ("bn1",)}, "exclude each other"),
    ],
)
def test_shares_that_cannot_be_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NetworkConfig(name="resnet18", **settings)


def test_an_auxiliary_head_answers_while_training_and_never_else() -> None:
    network = answer_once_in_use(TwoAnswers())
    x = torch.ones(2, 4)
    for one in (network, copy.deepcopy(network)):
        last, middle = one.train()(x)
        assert last.shape == middle.shape == (2, 3)
        torch.testing.assert_close(one.eval()(x), last)
    plain = nn.Linear(4, 3)
    assert answer_once_in_use(plain) is plain
    assert type(plain) is nn.Linear


def test_without_its_auxiliary_head_a_network_gives_one_answer_in_training_too() -> None:
    network = answer_once_in_use(TwoAnswers())
    drop_auxiliary(network)
    assert not [name for name, _ in network.named_parameters() if name.startswith("AuxLogits")]
    assert network.train()(torch.ones(2, 4)).shape == (2, 3)
    plain = nn.Linear(4, 3)
    drop_auxiliary(plain)
    assert len(list(plain.parameters())) == 2


def test_the_auxiliary_loss_is_a_share_of_its_own_cross_entropy() -> None:
    network = answer_once_in_use(TwoAnswers()).train()
    images, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    supervised = Supervised(torch.ones(3), 0.0)
    last, middle = network(images)
    parts = WithAuxiliary(supervised, supervised, 0.3)((last, middle), images, labels)
    expected = F.cross_entropy(last, labels) + 0.3 * F.cross_entropy(middle, labels)
    torch.testing.assert_close(parts["loss"], expected)
    torch.testing.assert_close(parts["auxiliary"], F.cross_entropy(middle, labels))
    parts["loss"].backward()
    assert network.AuxLogits.weight.grad.abs().sum() > 0
    assert ObjectiveConfig().auxiliary_weight == 0.3
    with pytest.raises(ValueError, match="auxiliary_weight"):
        ObjectiveConfig(auxiliary_weight=1.5)


def test_inception_trains_with_its_auxiliary_head_from_weights_that_have_another_number_of_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create, asked = timm.create_model, []

    def offline(name: str, pretrained: bool = False, **arguments: object) -> nn.Module:
        asked.append((pretrained, arguments.get("num_classes"), arguments.get("aux_logits")))
        return create(name, **arguments)

    monkeypatch.setattr(timm, "create_model", offline)
    config = NetworkConfig(name="inception_v3", arguments={"aux_logits": True})
    network, report = create_network(config, classes=6)
    assert asked == [(False, 6, True), (True, None, True)]
    assert {name.split(".")[0] for name in report.unused} == {"fc", "AuxLogits"}
    assert all(name.startswith(("fc.", "AuxLogits.fc.")) for name in report.missing)
    images = torch.zeros(2, 3, 299, 299)
    with torch.no_grad():
        last, middle = network.train()(images)
        assert last.shape == middle.shape == (2, 6)
        assert network.eval()(images[:1]).shape == (1, 6)
