"""Function matching: a good teacher is patient and consistent (Beyer et al. 2022).

The method lies in the views, not in the formula: teacher and student see the very same crop, colours and
mixture of two photos, the schedule is long, and no label takes part. So the student learns the teacher's
function between and beyond the photos; `Recipe` demands the mixtures.
"""

from torch import Tensor

from trashlens.training.objectives.hinton import kd_loss

__all__ = ["matching_loss"]


def matching_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² · KL(teacher ‖ student), mean over the batch; both logits [B, classes] of the same mixed view."""
    return kd_loss(student, teacher, temperature)
