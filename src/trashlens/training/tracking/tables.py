"""What people look at in W&B: predictions beside their photos, confusion matrices, drawings."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from trashlens.image import decode_image

__all__ = ["draw", "plot_confusion", "tabulate_mistakes"]

ROWS = 40
"""Photos in a table; all of them would make an offline run as large as the data."""
THUMBNAIL_PX = 128


def tabulate_mistakes(
    photos: Sequence[bytes | Path],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    classes: Sequence[str],
) -> wandb.Table:
    """Return the photos of highest loss with what was predicted, the worst first.

    `labels` is [N], `probabilities` [N, classes].
    """
    # Here, since the room also serves `trashlens pull`, which does without the train packages.
    from trashlens.training.evaluate import rank_by_loss

    own = [f"p({name})" for name in classes]
    table = wandb.Table(columns=["photo", "true", "predicted", "probability", "loss", *own])
    for index in rank_by_loss(labels, probabilities)[:ROWS]:
        row, label = probabilities[index], labels[index]
        best = row.argmax()
        loss = -np.log(max(row[label], 1e-12))
        table.add_data(
            _thumbnail(photos[index]), classes[label], classes[best], float(row[best]), float(loss), *row
        )
    return table


def plot_confusion(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], *, classes: Sequence[str], title: str
) -> Any:
    """Return W&B's own plot of true against predicted classes; `labels` [N], `probabilities` [N, classes]."""
    return wandb.plot.confusion_matrix(
        y_true=labels.tolist(),
        preds=probabilities.argmax(axis=1).tolist(),
        class_names=list(classes),
        title=title,
    )


def draw(figure: Figure) -> wandb.Image:
    """Return a drawing as a picture in W&B."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return wandb.Image(Image.open(buffer))


def _thumbnail(photo: bytes | Path) -> wandb.Image:
    image = decode_image(photo)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    caption = photo.name if isinstance(photo, Path) else None
    return wandb.Image(image, caption=caption, file_type="jpg")
