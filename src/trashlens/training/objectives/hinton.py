"""Knowledge distillation as Hinton, Vinyals and Dean (2015) described it."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["kd_loss"]


def kd_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² · KL(teacher ‖ student) of the softened distributions, mean over the batch.

    Both logits are [B, classes]. T² keeps the gradient's size independent of the temperature (Hinton et al.
    2015, section 2).
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
