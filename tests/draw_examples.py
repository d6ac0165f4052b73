"""Draws the pictures in `trashlens/ui/examples`: an object of each class on a white board, lit by a path tracer.

    pip install mitsuba
    python tests/draw_examples.py [--samples 160] [--folder FOLDER] [CLASS ...]

Nothing in them is from a photo.
"""

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mitsuba as mi
import numpy as np
from example_objects import (
    Place,
    build_bag,
    build_box,
    build_can,
    build_glass_bottle,
    build_plastic_bottle,
    build_sheet,
)
from example_shapes import Scene, noise, paint, tint
from PIL import Image

FOLDER = Path(__file__).parent.parent / "src" / "trashlens" / "ui" / "examples"
SIZE_PX = (512, 384)
MOST_BYTES = 25_000


@dataclass(frozen=True, kw_only=True)
class View:
    """What is drawn, and where the camera stands."""

    build: Callable[[], Scene]
    away_cm: float
    down_degrees: float
    """How steeply it looks down."""
    centre_cm: tuple[float, float, float]
    """Where it looks."""


VIEWS = {
    "cardboard": View(build=build_box, away_cm=79, down_degrees=36, centre_cm=(0, 0, 7.2)),
    "glass": View(build=build_glass_bottle, away_cm=49, down_degrees=24, centre_cm=(0, 0, 11.4)),
    "metal": View(build=build_can, away_cm=30, down_degrees=33, centre_cm=(0, 0, 5.5)),
    "paper": View(build=build_sheet, away_cm=52, down_degrees=52, centre_cm=(0, -0.6, 0)),
    "plastic": View(build=build_plastic_bottle, away_cm=38, down_degrees=42, centre_cm=(0, 0, 2.4)),
    "trash": View(build=build_bag, away_cm=43, down_degrees=52, centre_cm=(0, -0.4, 1)),
}


def light_room() -> np.ndarray:
    """Return what surrounds the board, [height, width, 3], linear: a bright ceiling and two windows."""
    rows = np.linspace(0, 1, 128)[:, None]
    room = 0.62 - 0.42 * rows + np.zeros((128, 256))
    room[22:56, 40:92] = 7.0
    room[22:56, 64:67] = 0.3
    room[26:52, 150:176] = 1.8
    room[60:76, 100:230] = 0.10
    colour = room[..., None] * np.array([1.0, 0.975, 0.94])
    colour[22:56, 40:92] *= np.array([0.94, 0.99, 1.08])
    return colour.astype(np.float32)


def render(view: View, samples: int) -> Image.Image:
    """Return the picture of an object."""
    down = np.radians(view.down_degrees)
    camera = view.away_cm * np.array([0, -np.cos(down), np.sin(down)]) + view.centre_cm
    grain = noise((1024, 1024), seed=1, scale=260) * 1.6 + noise((1024, 1024), seed=2, scale=2) * 1.2
    board = {"type": "diffuse", "reflectance": paint(tint((226, 224, 219), grain))}
    width, height = SIZE_PX
    scene = mi.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": 14},
            "sensor": {
                "type": "perspective",
                "fov": 38,
                "to_world": Place().look_at(
                    origin=list(camera), target=list(view.centre_cm), up=[0, 0, 1]
                ),
                "film": {
                    "type": "hdrfilm",
                    "width": width,
                    "height": height,
                    "rfilter": {"type": "gaussian"},
                },
                "sampler": {"type": "independent", "sample_count": samples},
            },
            "room": {
                "type": "envmap",
                "bitmap": mi.Bitmap(light_room()),
                "to_world": Place().rotate([1, 0, 0], 90),
            },
            "board": {"type": "rectangle", "to_world": Place().scale([200, 200, 1]), "bsdf": board},
            **view.build(),
        }
    )
    return develop(np.array(mi.render(scene))[..., :3])


def develop(light: np.ndarray) -> Image.Image:
    """Return the picture that a camera would make of `light`, [height, width, 3], linear."""
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    darker_at_the_rim = (1 - 0.13 * (x**2 + y**2))[..., None]
    exposed = light * (0.66 / np.percentile(light.mean(2), 60)) * darker_at_the_rim
    shoulder = 0.7 + 0.3 * (1 - np.exp(-(exposed - 0.7) / 0.3))
    developed = np.where(exposed > 0.7, shoulder, exposed).clip(0, 1)
    return Image.fromarray((255 * developed ** (1 / 2.2) + 0.5).astype(np.uint8))


def compress(picture: Image.Image) -> bytes:
    """Return the JPEG of the best quality within `MOST_BYTES`."""
    for quality in range(92, 30, -2):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise ValueError("The picture cannot be made small enough. Take more samples.")


def main() -> int:
    """Draw the classes that are named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="*", metavar="CLASS", help=", ".join(VIEWS))
    parser.add_argument("--samples", type=int, default=160, help="light paths a pixel")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    given = parser.parse_args()
    for label in given.labels or VIEWS:
        picture = render(VIEWS[label], given.samples)
        (given.folder / f"{label}.jpg").write_bytes(compress(picture))
        print(label, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
