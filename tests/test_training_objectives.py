"""Losses against values computed by hand; the gradient reaches the student only."""

import math

import pytest
import torch
from torch import nn

from trashlens.training.objectives import (
    DistillConfig,
    Distilled,
    ObjectiveConfig,
    Supervised,
    class_weights,
    dist_loss,
    f1_loss,
    focal_losses,
    kd_loss,
    matching_loss,
    standardised_loss,
)


def test_kd_of_equal_logits_is_zero() -> None:
    logits = torch.randn(5, 6)
    for temperature in (1.0, 4.0):
        assert kd_loss(logits, logits, temperature).item() == pytest.approx(0, abs=1e-6)
        assert kd_loss(logits + 3, logits, temperature).item() == pytest.approx(0, abs=1e-6)


def test_kd_at_temperature_one_by_hand() -> None:
    # Teacher (3/4, 1/4), student (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2).
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert kd_loss(student, teacher, 1.0).item() == pytest.approx(expected, abs=1e-6)


def test_kd_at_temperature_two_by_hand() -> None:
    # Logits (2 ln 3, 0) at T = 2 are (ln 3, 0): the same KL, times T² = 4.
    teacher, student = torch.tensor([[2 * math.log(3.0), 0.0]]), torch.zeros(1, 2)
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert kd_loss(student, teacher, 2.0).item() == pytest.approx(expected, abs=1e-6)


def test_kd_is_the_mean_over_photos_not_over_photos_and_classes() -> None:
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    both = kd_loss(student.repeat(7, 1), teacher.repeat(7, 1), 2.0)
    assert both.item() == pytest.approx(kd_loss(student, teacher, 2.0).item())


def test_kd_gradient_size_does_not_shrink_with_temperature() -> None:
    teacher = torch.tensor([[1.0, 0.0]])
    norms = []
    for temperature in (10.0, 100.0):
        student = torch.zeros(1, 2, requires_grad=True)
        kd_loss(student, teacher, temperature).backward()
        norms.append(student.grad.norm().item())
    assert norms[0] == pytest.approx(norms[1], rel=0.02)


def test_supervised_by_hand_with_weights_and_smoothing() -> None:
    logits, labels = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    plain = Supervised(torch.ones(2), 0.0)(logits, torch.empty(0), labels)["loss"]
    assert plain.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    weighted = Supervised(torch.tensor([1.0, 3.0]), 0.0)(logits, torch.empty(0), labels)["loss"]
    assert weighted.item() == pytest.approx((math.log(4 / 3) + 3 * math.log(2)) / 4)
    # Smoothing 0.2 over two classes: targets (0.9, 0.1) and (0.1, 0.9).
    smoothed = Supervised(torch.ones(2), 0.2)(logits, torch.empty(0), labels)["loss"]
    first = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    assert smoothed.item() == pytest.approx((first + math.log(2)) / 2)


def test_mixed_labels_by_hand() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    # The first photo is 3/4 of class 0 and 1/4 of class 1; the second is all of class 1.
    shares = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    first = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    plain = Supervised(torch.ones(2), 0.0)(logits, torch.empty(0), shares)["loss"]
    assert plain.item() == pytest.approx((first + math.log(2)) / 2)
    # Class 1 weighs three: the first photo weighs 3/4 + 3/4, the second 3.
    weighted = Supervised(torch.tensor([1.0, 3.0]), 0.0)(logits, torch.empty(0), shares)["loss"]
    assert weighted.item() == pytest.approx((1.5 * first + 3 * math.log(2)) / 4.5)


def test_a_label_spread_evenly_pulls_to_no_class_however_they_weigh() -> None:
    logits = torch.zeros(1, 6, requires_grad=True)
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    even = torch.full((1, 6), 1 / 6)
    Supervised(weights, 0.1)(logits, torch.empty(0), even)["loss"].backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-7


def test_hard_labels_and_the_same_as_shares_give_torchs_number() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 6, generator=generator)
    labels = torch.randint(6, (16,), generator=generator)
    weights = torch.rand(6, generator=generator) + 0.1
    objective = Supervised(weights, 0.0)
    hard = objective(logits, torch.empty(0), labels)["loss"]
    shares = objective(logits, torch.empty(0), nn.functional.one_hot(labels, 6).float())["loss"]
    expected = nn.CrossEntropyLoss(weights)(logits, labels)
    assert hard.item() == pytest.approx(expected.item())
    assert shares.item() == pytest.approx(expected.item())
    # Only the weights' ratios matter, for mixed labels too.
    mixed = 0.3 * nn.functional.one_hot(labels, 6) + 0.7 * nn.functional.one_hot(labels.roll(1), 6)
    ten_times = Supervised(10 * weights, 0.0)(logits, torch.empty(0), mixed)["loss"]
    assert ten_times.item() == pytest.approx(objective(logits, torch.empty(0), mixed)["loss"].item())


def test_dist_by_hand() -> None:
    # Probabilities: student (3/4, 1/4) and (1/2, 1/2), teacher (1/4, 3/4) and (3/4, 1/4).
    student = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    teacher = torch.tensor([[0.0, math.log(3.0)], [math.log(3.0), 0.0]])
    # Over the classes: -1 for the first photo, 0 for the second, which prefers none.
    inter = dist_loss(student, teacher, 1.0, beta=1, gamma=0)
    assert inter.item() == pytest.approx(1 - (-1 + 0) / 2)
    # Over the two photos the student falls where the teacher rises, for both classes.
    intra = dist_loss(student, teacher, 1.0, beta=0, gamma=1)
    assert intra.item() == pytest.approx(2)
    both = dist_loss(student, teacher, 1.0, beta=3, gamma=5)
    assert both.item() == pytest.approx(3 * 1.5 + 5 * 2)


def test_dist_asks_for_relations_only() -> None:
    teacher = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    assert dist_loss(teacher, teacher, 2.0, beta=1, gamma=1).item() == pytest.approx(0, abs=1e-5)
    # A probability of 0.2 + 0.5 p is as good as p: the student need not be as sure as the teacher.
    p = teacher.softmax(dim=1)
    unsure = (0.5 * p + 0.5 / 6).log()
    assert dist_loss(unsure, teacher, 1.0, beta=1, gamma=1).item() == pytest.approx(0, abs=1e-5)
    assert kd_loss(unsure, teacher, 1.0).item() > 0.05


def test_dist_has_a_finite_gradient_where_a_correlation_is_undefined() -> None:
    student = torch.zeros(4, 6, requires_grad=True)  # as a fresh head answers
    teacher = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    dist_loss(student, teacher, 2.0, beta=1, gamma=1).backward()
    assert student.grad.isfinite().all()


def test_standardised_by_hand() -> None:
    # The z-scores of (4, 0) are (1, -1), those of (0, 1) are (-1, 1); at T = 2: (1/2, -1/2) and its opposite.
    student, teacher = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    p = 1 / (1 + math.e)
    expected = 4 * (p * math.log(p / (1 - p)) + (1 - p) * math.log((1 - p) / p))
    assert standardised_loss(student, teacher, 2.0).item() == pytest.approx(expected, abs=1e-5)


def test_standardised_ignores_how_large_logits_are() -> None:
    teacher = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    assert standardised_loss(7 * teacher + 3, teacher, 2.0).item() == pytest.approx(0, abs=1e-5)
    assert kd_loss(7 * teacher + 3, teacher, 2.0).item() > 1
    assert standardised_loss(torch.zeros(8, 6), teacher, 2.0).isfinite()


def test_focal_by_hand() -> None:
    # Probabilities (3/4, 1/4) and (1/2, 1/2); labels 0 and 1: (1/4)² ln(4/3) and (1/2)² ln 2.
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    shares = torch.eye(2)
    expected = [math.log(4 / 3) / 16, math.log(2) / 4]
    assert focal_losses(logits, shares, 2.0).tolist() == pytest.approx(expected)
    cross_entropy = [math.log(4 / 3), math.log(2)]
    assert focal_losses(logits, shares, 0.0).tolist() == pytest.approx(cross_entropy)
    # A share of each class: half of what each alone would be.
    both = (math.log(4 / 3) / 16 + 9 / 16 * math.log(4)) / 2
    assert focal_losses(logits[:1], torch.full((1, 2), 0.5), 2.0).item() == pytest.approx(both)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_has_a_finite_gradient_where_the_answer_is_sure(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    focal_losses(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), gamma).sum().backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[1].abs().max() > 0


def test_f1_by_hand() -> None:
    # Class 0: 2 · 3/4 / (5/4 + 1) = 2/3; class 1: 2 · 1/2 / (3/4 + 1) = 4/7. Class 2 has no photo here.
    probabilities = torch.tensor([[3 / 4, 1 / 4, 1e-9], [1 / 2, 1 / 2, 1e-9]])
    shares = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert f1_loss(probabilities.log(), shares).item() == pytest.approx(1 - (2 / 3 + 4 / 7) / 2)


def test_f1_is_zero_for_right_answers_and_one_for_wrong_ones_however_rare_the_class() -> None:
    labels = torch.tensor([0] * 9 + [1])
    shares = nn.functional.one_hot(labels, 2).float()
    assert f1_loss(100 * shares, shares).item() == pytest.approx(0, abs=1e-6)
    assert f1_loss(100 * (1 - shares), shares).item() == pytest.approx(1, abs=1e-6)
    # All in the frequent class: its F1 is 18/19, the other's 0.
    frequent = torch.tensor([[100.0, 0.0]]).repeat(10, 1)
    assert f1_loss(frequent, shares).item() == pytest.approx(1 - 9 / 19, abs=1e-6)


def test_f1_can_be_learned_by_its_gradient() -> None:
    labels = torch.tensor([0] * 6 + [1, 2])
    shares = nn.functional.one_hot(labels, 3).float()
    logits = torch.zeros(8, 3, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=5.0)
    for _ in range(200):
        optimizer.zero_grad()
        f1_loss(logits, shares).backward()
        optimizer.step()
    assert (logits.argmax(dim=1) == labels).all()


def test_f1_does_not_count_the_classes_that_a_batch_lacks_with_label_smoothing_either() -> None:
    labels = torch.tensor([0, 0, 1, 2])  # of six classes
    right = 100 * nn.functional.one_hot(labels, 6).float()
    supervised = Supervised(torch.ones(6), 0.1, loss="f1")
    assert supervised(right, torch.zeros(4, 3, 4, 4), labels)["loss"].item() == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("labels", [torch.tensor([0, 1]), torch.tensor([[0.7, 0.3], [0.2, 0.8]])])
def test_the_chosen_loss_is_taken_with_weights_and_smoothing(labels: torch.Tensor) -> None:
    logits, weights = torch.tensor([[1.0, 0.0], [0.3, 0.5]]), torch.tensor([1.0, 3.0])
    images = torch.zeros(2, 3, 4, 4)
    shares = labels if labels.is_floating_point() else torch.eye(2)
    smooth = 0.8 * shares + 0.1
    photos = shares @ weights
    expected = {
        "focal": (photos * focal_losses(logits, smooth, 1.5)).sum() / photos.sum(),
        "f1": f1_loss(logits, shares),
    }
    for loss, value in expected.items():
        made = Supervised(weights, 0.2, loss=loss, focal_gamma=1.5)(logits, images, labels)["loss"]
        assert made.item() == pytest.approx(value.item())
    plain = Supervised(weights, 0.2)(logits, images, labels)["loss"]
    focal = Supervised(weights, 0.2, loss="focal", focal_gamma=0.0)(logits, images, labels)["loss"]
    assert focal.item() == pytest.approx(plain.item())


def test_class_weights_by_hand() -> None:
    counts = torch.tensor([1.0, 4.0])
    assert torch.allclose(class_weights(counts, 0.0), torch.ones(2))
    assert torch.allclose(class_weights(counts, 1.0), torch.tensor([1.0, 0.25]))
    assert torch.allclose(class_weights(counts, 0.5), torch.tensor([1.0, 0.5]))
    assert class_weights(torch.tensor([0.0]), 1.0).isfinite().all()


def make_distilled(alpha: float, **settings: object) -> Distilled:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(6))
    teacher(torch.randn(2, 3, 8, 8))
    config = DistillConfig(teacher="unused", alpha=alpha, temperature=2.0, **settings)
    return Distilled(Supervised(torch.ones(6), 0.1), teacher, config)


def test_the_teacher_stays_frozen_and_in_evaluation_through_train() -> None:
    objective = make_distilled(0.5)
    before = {name: tensor.clone() for name, tensor in objective.teacher.state_dict().items()}
    objective.train()
    assert objective.training
    assert not objective.teacher.training
    student = nn.Sequential(nn.Flatten(), nn.Linear(192, 6))
    images, labels = torch.randn(4, 3, 8, 8) * 50, torch.tensor([0, 1, 2, 3])
    objective(student(images), images, labels)["loss"].backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    assert not any(parameter.requires_grad for parameter in objective.teacher.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in student.parameters())
    after = objective.teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_parts_are_named_and_mixed_by_alpha(alpha: float) -> None:
    objective = make_distilled(alpha).train()
    logits, images = torch.randn(4, 6), torch.randn(4, 3, 8, 8)
    parts = objective(logits, images, torch.tensor([0, 1, 2, 3]))
    assert set(parts) == {"loss", "supervised", "kd"}
    mixed = (1 - alpha) * parts["supervised"] + alpha * parts["kd"]
    assert parts["loss"].item() == pytest.approx(mixed.item())
    teacher_logits = objective.teacher(images)
    assert parts["kd"].item() == pytest.approx(kd_loss(logits, teacher_logits, 2.0).item())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"method": "dist", "beta": 2.0}, lambda s, t: dist_loss(s, t, 2.0, beta=2.0, gamma=1.0)),
        ({"method": "standardised"}, lambda s, t: standardised_loss(s, t, 2.0)),
        ({"method": "matching"}, lambda s, t: matching_loss(s, t, 2.0)),
    ],
    ids=["dist", "standardised", "matching"],
)
def test_the_teachers_part_is_the_chosen_one(settings: dict[str, object], expected: object) -> None:
    objective = make_distilled(1.0, **settings).train()
    logits, images = torch.randn(4, 6), torch.randn(4, 3, 8, 8)
    parts = objective(logits, images, torch.full((4, 6), 1 / 6))
    assert parts["loss"].item() == pytest.approx(expected(logits, objective.teacher(images)).item())


def test_the_teacher_sees_the_same_views_at_its_own_size() -> None:
    objective = make_distilled(1.0, size_px=16)
    seen = []

    class Seeing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return images.mean(dim=(2, 3)).repeat(1, 2)

    objective.teacher = Seeing()
    # A ramp from left to right stays one, twice as fine.
    ramp = torch.arange(8.0).expand(2, 3, 8, 8)
    objective(torch.randn(2, 6), ramp, torch.tensor([0, 1]))
    assert seen[0].shape == (2, 3, 16, 16)
    assert torch.allclose(seen[0][0, 0, 0, 1:5], torch.tensor([0.25, 0.75, 1.25, 1.75]))
    objective(torch.randn(2, 6), seen[0], torch.tensor([0, 1]))
    assert seen[1] is seen[0]


def test_matching_uses_no_labels() -> None:
    objective = make_distilled(1.0, method="matching")
    logits, images = torch.randn(4, 6), torch.randn(4, 3, 8, 8)
    one = objective(logits, images, torch.full((4, 6), 1 / 6))["loss"]
    assert one.item() == objective(logits, images, torch.zeros(4, dtype=torch.long))["loss"].item()


@pytest.mark.parametrize(
    "make",
    [
        lambda: DistillConfig(teacher="t", alpha=1.5),
        lambda: DistillConfig(teacher="t", temperature=0.0),
        lambda: DistillConfig(teacher="t", size_px=8),
        lambda: DistillConfig(teacher="t", method="matching"),
        lambda: DistillConfig(teacher="t", method="dist", beta=-1.0),
        lambda: DistillConfig(teacher="t", method="dist", beta=0.0, gamma=0.0),
        lambda: ObjectiveConfig(label_smoothing=1.0),
        lambda: ObjectiveConfig(class_weight_power=2.0),
        lambda: ObjectiveConfig(focal_gamma=-1.0),
    ],
)
def test_settings_that_contradict_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="must"):
        make()
