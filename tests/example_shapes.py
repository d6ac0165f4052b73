"""What the drawn examples are made of: surfaces and meshes for the path tracer. `draw_examples.py` uses them.

Lengths are centimetres, colours linear RGB in 0..1, and z points upwards.
"""

from typing import Any

import mitsuba as mi
import numpy as np
from PIL import Image

mi.set_variant("scalar_rgb")

Scene = dict[str, Any]


def paint(image: Image.Image) -> Scene:
    """Return a texture of an image, its first row where a mesh begins."""
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.array(image.convert("RGB")))}


def flat(*colour: float) -> Scene:
    return {"type": "rgb", "value": list(colour)}


def matt(image: Image.Image) -> Scene:
    return {"type": "twosided", "inner": {"type": "diffuse", "reflectance": paint(image)}}


def noise(size: tuple[int, int], *, seed: int, scale: float) -> np.ndarray:
    """Return smooth noise, [height, width], mean 0 and standard deviation 1; `scale` is its grain in pixels."""
    width, height = size
    fine = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    coarse_size = (max(2, int(width / scale)), max(2, int(height / scale)))
    coarse = Image.fromarray(fine).resize(coarse_size, Image.Resampling.BOX)
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    return (smooth - smooth.mean()) / smooth.std()


def tint(colour: tuple[int, int, int], light: np.ndarray) -> Image.Image:
    """Return a picture of one colour, lighter and darker by `light`, [height, width] in 8-bit steps."""
    return Image.fromarray(np.clip(np.array(colour) + light[..., None], 0, 255).astype(np.uint8))


def upright(image: Image.Image) -> Image.Image:
    """Return the image for a mesh that begins at its bottom."""
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def grid(points: np.ndarray, surface: Scene, *, smooth: bool = True) -> Any:
    """Return a mesh through `points`, [rows, columns, 3], whose texture spans it once."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (
        part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    )
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict(surface)
    mesh = mi.Mesh(
        "grid",
        rows * columns,
        len(faces),
        props=properties,
        has_vertex_normals=smooth,
        has_vertex_texcoords=True,
    )
    values = mi.traverse(mesh)
    values["vertex_positions"] = points.ravel().astype(np.float32)
    values["vertex_texcoords"] = np.stack([u, v], -1).ravel().astype(np.float32)
    values["faces"] = faces.ravel().astype(np.uint32)
    values.update()
    return mesh


def outline(text: str) -> np.ndarray:
    """Return the profile that is written as `radius height` again and again, [points, 2]."""
    return np.array(text.split(), float).reshape(-1, 2)


def revolve(profile: np.ndarray, *, steps: int = 160, rings: int = 240) -> np.ndarray:
    """Return points, [rings, steps, 3], of a profile turned about the z axis."""
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(profile, axis=0).T))])
    at = np.linspace(0, length[-1], rings)  # evenly, so that a texture is not stretched
    radius, height = (np.interp(at, length, profile[:, k]) for k in (0, 1))
    for _ in range(2):  # edges of real things are round
        radius[1:-1] = (radius[:-2] + 2 * radius[1:-1] + radius[2:]) / 4
        height[1:-1] = (height[:-2] + 2 * height[1:-1] + height[2:]) / 4
    radius = radius.clip(0.01)  # in a single point a surface has no direction
    angle = np.linspace(0, 2 * np.pi, steps)
    columns = (np.cos(angle), np.sin(angle), np.ones(steps))
    return np.stack(
        [np.outer(*pair) for pair in zip((radius, radius, height), columns, strict=True)], -1
    )


def crumple(x: np.ndarray, y: np.ndarray, *, seed: int, folds: int) -> np.ndarray:
    """Return heights as of a sheet that was crumpled and smoothed: straight creases in all directions."""
    generator = np.random.default_rng(seed)
    height = np.zeros_like(x)
    for _ in range(folds):
        angle, period = generator.uniform(0, np.pi), generator.uniform(0.35, 1.6)
        along = x * np.cos(angle) + y * np.sin(angle) + generator.uniform(0, 9)
        height += generator.normal() * period * np.abs(along / period % 2 - 1)
    return (height - height.mean()) / height.std()


def turn(points: np.ndarray, degrees: float) -> np.ndarray:
    """Turn points about the z axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = (points[..., k] for k in range(3))
    return np.stack([c * x - s * y, s * x + c * y, z], -1)
