"""Pictures that nobody photographed: noise, pages, shapes and drawings, the same for each seed.

Plain colours and patterns are not among them: training shows such grounds empty, as what is no waste.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["DRAWERS", "SIZE_PX"]

SIZE_PX = (384, 288)
"""Width and height of every picture, pixels; TrashNet's photos have the same shape."""

WORDS = ("the", "lens", "looks", "at", "whatever", "you", "show", "and", "never", "saw", "a", "page")


def draw_noise(generator: Generator) -> Image.Image:
    """Return noise: independent in each pixel, or in coarser grains, in colour or grey."""
    grain = int(generator.choice([1, 4, 16, 48]))
    channels = int(generator.choice([1, 3]))
    shape = (-(-SIZE_PX[1] // grain), -(-SIZE_PX[0] // grain), channels)
    values = np.repeat(generator.integers(0, 256, shape, np.uint8), 3 // channels, axis=2)
    return Image.fromarray(values).resize(SIZE_PX, Image.Resampling.BICUBIC)


def draw_gradient(generator: Generator) -> Image.Image:
    """Return a slope from one colour to another, straight or around a point."""
    x, y = _grid()
    if generator.random() < 0.5:
        angle = generator.uniform(0, 2 * np.pi)
        height = x * np.cos(angle) + y * np.sin(angle)
    else:
        height = np.hypot(x - generator.uniform(-0.5, 0.5), y - generator.uniform(-0.5, 0.5))
    return _blend((height - height.min()) / np.ptp(height), generator)


def draw_text(generator: Generator) -> Image.Image:
    """Return a page of words, dark on light or, like a terminal, light on dark."""
    ink, ground = ((25, 25, 25), (250, 250, 248)) if generator.random() < 0.5 else _inks(generator)
    image = Image.new("RGB", SIZE_PX, ground)
    draw = ImageDraw.Draw(image)
    height_px = int(generator.integers(9, 22))
    font = ImageFont.load_default(height_px)
    for y in range(16, SIZE_PX[1] - height_px, int(1.6 * height_px)):
        draw.text((16, y), " ".join(generator.choice(WORDS, 12)), ink, font)
    return image


def draw_chart(generator: Generator) -> Image.Image:
    """Return axes with bars or a line."""
    image = Image.new("RGB", SIZE_PX, "white")
    draw = ImageDraw.Draw(image)
    width, height = SIZE_PX
    values = generator.uniform(0.1, 0.9, int(generator.integers(4, 12)))
    xs = np.linspace(50, width - 30, len(values))
    tops = height - 30 - values * (height - 60)
    colour = _colour(generator)
    if generator.random() < 0.5:
        for x, top in zip(xs, tops, strict=True):
            draw.rectangle((x - 9, top, x + 9, height - 30), colour)
    else:
        draw.line(list(zip(xs, tops, strict=True)), colour, 3)
    draw.line([(36, 20), (36, height - 30), (width - 16, height - 30)], (40, 40, 40), 2)
    return image


def draw_shapes(generator: Generator) -> Image.Image:
    """Return discs, boxes and triangles on a plain ground."""
    image = Image.new("RGB", SIZE_PX, _colour(generator))
    draw = ImageDraw.Draw(image)
    for _ in range(generator.integers(3, 10)):
        x, y = generator.uniform((0, 0), SIZE_PX)
        radius = generator.uniform(15, 70)
        corners = int(generator.choice([3, 4, 5, 40]))
        angle = generator.uniform(0, 360)
        draw.regular_polygon((x, y, radius), corners, angle, _colour(generator))
    return image


def draw_landscape(generator: Generator) -> Image.Image:
    """Return hills under a sky with a sun, and a house, as a child would paint them."""
    image = _blend(np.broadcast_to(np.linspace(0, 1, SIZE_PX[1])[:, None], SIZE_PX[::-1]), generator)
    draw = ImageDraw.Draw(image)
    width, height = SIZE_PX
    draw.circle((generator.uniform(40, width - 40), 50), 26, (250, 215, 70))
    xs = np.arange(0, width + 8, 8)
    for base in (0.55, 0.7, 0.85):
        slope = generator.uniform(8, 30) * np.sin(
            xs / generator.uniform(25, 80) + generator.uniform(0, 6)
        )
        ridge = list(zip(xs.tolist(), (height * base + slope).tolist(), strict=True))
        green = (int(40 * base), int(generator.uniform(90, 190)), int(70 * base))
        draw.polygon([*ridge, (width + 8, height), (0, height)], green)
    x = generator.uniform(30, width - 110)
    draw.rectangle((x, 185, x + 80, 250), _colour(generator), (40, 40, 40))
    draw.polygon([(x - 8, 185), (x + 40, 140), (x + 88, 185)], _colour(generator), (40, 40, 40))
    return image


def draw_figure(generator: Generator) -> Image.Image:
    """Return a face or a stick figure in a few strokes."""
    ink, ground = _inks(generator)
    if generator.random() < 0.5:
        ink, ground = ground, ink
    image = Image.new("RGB", SIZE_PX, ground)
    draw = ImageDraw.Draw(image)
    x, y = SIZE_PX[0] / 2 + generator.uniform(-60, 60), SIZE_PX[1] / 2
    width_px = int(generator.integers(3, 9))
    if generator.random() < 0.5:
        draw.circle((x, y), 100, _colour(generator), ink, width_px)
        for side in (-1, 1):
            draw.circle((x + 36 * side, y - 28), generator.uniform(8, 18), ink)
        draw.arc((x - 55, y - 40, x + 55, y + 60), 20, 160, ink, width_px)
    else:
        draw.circle((x, y - 90), 28, ground, ink, width_px)
        draw.line((x, y - 62, x, y + 35), ink, width_px)
        for dx, top, bottom in ((60, -40, -10), (45, 35, 120)):
            swing = generator.uniform(-25, 25)
            draw.line(
                [(x - dx, y + bottom + swing), (x, y + top), (x + dx, y + bottom - swing)], ink, width_px
            )
    return image


DRAWERS: Mapping[str, Callable[[Generator], Image.Image]] = MappingProxyType(
    {
        "noise": draw_noise,
        "gradient": draw_gradient,
        "text": draw_text,
        "chart": draw_chart,
        "shapes": draw_shapes,
        "landscape": draw_landscape,
        "figure": draw_figure,
    }
)
"""By kind: what turns a random generator into an 8-bit RGB picture of `SIZE_PX`."""


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y of every pixel, [height, width], in -0.5..0.5 along the longer side."""
    width, height = SIZE_PX
    x, y = np.meshgrid(np.arange(width) - width / 2, np.arange(height) - height / 2)
    return x / width, y / width


def _blend(share: NDArray[np.float64], generator: Generator) -> Image.Image:
    """Return the mixture of two random colours by `share` [height, width], in 0..1."""
    first, second = np.array(_colour(generator)), np.array(_colour(generator))
    pixels = first + share[..., None] * (second - first)
    return Image.fromarray(pixels.astype(np.uint8))


def _colour(generator: Generator) -> tuple[int, int, int]:
    red, green, blue = generator.integers(0, 256, 3).tolist()
    return red, green, blue


def _inks(generator: Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return a light ink and a dark ground."""
    light, dark = generator.integers(170, 256, 3).tolist(), generator.integers(0, 70, 3).tolist()
    return (light[0], light[1], light[2]), (dark[0], dark[1], dark[2])
