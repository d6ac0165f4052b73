"""DIST, knowledge distillation from a stronger teacher (Huang, You, Wang, Qian, Xu 2022)."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["dist_loss"]


def dist_loss(
    student: Tensor, teacher: Tensor, temperature: float, *, beta: float, gamma: float
) -> Tensor:
    """Return beta · inter + gamma · intra for logits [B, classes], B at least 2; between 0 and 2 (beta + gamma).

    Both parts are 1 - Pearson's correlation of the softened probabilities: `inter` over the classes of each
    photo, `intra` over the photos for each class (equations 7 to 9). Only relations count, so that the student
    need not reach a much larger teacher's confidence. A correlation does not change with scale, so its
    gradient does not shrink with the temperature and takes no T².
    """
    p, q = (student / temperature).softmax(dim=1), (teacher / temperature).softmax(dim=1)
    inter = 1 - _correlation(p, q).mean()
    intra = 1 - _correlation(p.T, q.T).mean()
    return beta * inter + gamma * intra


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation of each row of two [N, M], [N]; 0 where a row is constant."""
    first, second = (rows - rows.mean(dim=1, keepdim=True) for rows in (first, second))
    return F.cosine_similarity(first, second, dim=1)
