"""Drawn grounds that waste may lie on: floors, boards, cloth; no photo is needed and none is like another."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["HELD_OUT", "TRAINED_ON", "Grounds", "draw_ground"]

Ground = NDArray[np.float32]
"""float32 [H, W, 3], RGB in 0..1."""


class Grounds:
    """A supply of drawn grounds: drawing one takes longer than a training step can wait for its photos."""

    def __init__(self, size_px: int, count: int, families: tuple[str, ...], *, seed: int) -> None:
        """Draw `count` square grounds with sides of `size_px` pixels."""
        rng = np.random.default_rng(seed)
        self.drawn = [draw_ground(size_px, size_px, rng, families) for _ in range(count)]

    def pick(self, rng: np.random.Generator) -> Ground:
        """Return one of the grounds, turned and in other light, float32 [size_px, size_px, 3], RGB in 0..1.2."""
        drawn = self.drawn[int(rng.integers(len(self.drawn)))]
        ground: Ground = np.rot90(drawn, int(rng.integers(4))) * rng.uniform(0.8, 1.2, 3).astype(
            np.float32
        )
        return ground


def draw_ground(height: int, width: int, rng: np.random.Generator, families: tuple[str, ...]) -> Ground:
    """Return a ground of one of the families, float32 [height, width, 3], RGB in 0..1, unevenly lit."""
    family = FAMILIES[families[rng.integers(len(families))]]
    ground = np.clip(family(height, width, rng) * _light(height, width, rng), 0, 1)
    return np.asarray(ground, np.float32)


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a colour that floors and tables have: mostly grey, often warm, seldom bright."""
    value = rng.uniform(0.15, 0.95)
    tint = rng.normal(0, 0.03 if rng.random() < 0.6 else 0.12, 3)
    return np.clip(value * (1 + tint), 0.03, 1.0).astype(np.float32)


def _light(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Return slow changes of brightness over the picture, [height, width, 1], about 1."""
    corners = rng.uniform(1 - rng.uniform(0, 0.35), 1.1, (3, 3)).astype(np.float32)
    light: Ground = cv2.resize(corners, (width, height), interpolation=cv2.INTER_CUBIC)
    return light[..., np.newaxis]


def _clouds(height: int, width: int, rng: np.random.Generator, *, fineness: float) -> Ground:
    """Return noise of several sizes, [height, width, 1], mean about 0 and deviation about 1."""
    total, weights = np.zeros((height, width), np.float32), 0.0
    for octave in (8, 16, 32, 64, 128):
        weight = (octave / 32) ** fineness
        rows = max(2, octave * height // max(height, width))
        grid = rng.standard_normal((rows, octave), np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weights += weight**2
    clouds: Ground = (total / np.float32(np.sqrt(weights)))[..., np.newaxis]
    return clouds


def _plain(height: int, width: int, rng: np.random.Generator) -> Ground:
    """A board or a painted wall."""
    return np.broadcast_to(_colour(rng), (height, width, 3)).astype(np.float32)


def _concrete(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Concrete, plaster, linoleum: clouds of one colour, with grain."""
    grain = rng.standard_normal((height, width, 1), np.float32) * rng.uniform(0, 0.06)
    clouds = _clouds(height, width, rng, fineness=rng.uniform(-1, 0.5)) * rng.uniform(0.01, 0.08)
    concrete: Ground = _colour(rng) * (1 + clouds + grain)
    return concrete


def _speckled(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Gravel, carpet: spots of a second colour."""
    spots = cv2.GaussianBlur(
        rng.standard_normal((height, width), np.float32), (0, 0), rng.uniform(0.6, 3.0)
    )
    limit = np.quantile(spots, rng.uniform(0.6, 0.95))
    share: Ground = np.clip((spots - limit) / (spots.std() * 0.3), 0, 1)[..., np.newaxis]
    share = share * np.float32(rng.uniform(0.2, 1))
    return _concrete(height, width, rng) * (1 - share) + _colour(rng) * share


def _woven(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Cloth, mats, ribbed plastic: fine waves in two directions."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 14)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    waves = np.sin(2 * np.pi * along / period) + rng.random() * np.sin(2 * np.pi * across / period)
    cloth: Ground = 1 + np.float32(rng.uniform(0.02, 0.12)) * waves[..., np.newaxis]
    return _concrete(height, width, rng) * cloth


def _patched(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Two or three grounds that meet: a table's edge, a rug on a floor."""
    ground = _speckled(height, width, rng)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(rng.integers(1, 3)):
        angle = rng.uniform(0, 2 * np.pi)
        side = np.cos(angle) * (x / width - rng.random()) + np.sin(angle) * (y / height - rng.random())
        share = np.clip(side * max(height, width) / rng.uniform(1, 8), 0, 1)[..., np.newaxis]
        ground = ground * (1 - share) + _concrete(height, width, rng) * share
    return ground


def _wooden(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Boards with grain along them."""
    brown = np.array([0.55, 0.38, 0.24], np.float32)
    base = (brown + rng.uniform(0, 0.8) * (brown.mean() - brown)) * rng.uniform(0.5, 1.9)
    grain = rng.standard_normal((height, max(2, width // 40)), np.float32)
    grain = cv2.GaussianBlur(
        cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 0.8
    )
    boards = np.ones((height, width), np.float32)
    step = int(rng.integers(max(8, height // 8), max(9, height // 2)))
    for row in range(int(rng.integers(step)), height, step):
        boards[row : row + 2] = 0.6
        boards[row + 2 : row + step] *= rng.uniform(0.85, 1.1)
    ground = base * (1 + 0.09 * grain[..., np.newaxis]) * boards[..., np.newaxis]
    return ground if rng.random() < 0.5 else np.ascontiguousarray(_turn(ground))


def _tiled(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Square tiles with joints between them."""
    ground = _concrete(height, width, rng)
    size, joint = int(rng.integers(40, 160)), int(rng.integers(2, 6))
    ground[np.arange(height) % size < joint] *= 0.7
    ground[:, np.arange(width) % size < joint] *= 0.7
    return ground


def _paved(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Pavement, bricks: stones of slightly different brightness in shifted rows."""
    ground = _concrete(height, width, rng)
    tall, joint = int(rng.integers(24, 90)), int(rng.integers(2, 6))
    wide, seam = round(tall * rng.uniform(1.2, 2.6)), rng.uniform(0.5, 1.15)
    for row, top in enumerate(range(0, height, tall)):
        start = -int(row % 2 * wide // 2)
        for left in range(start, width, wide):
            stone = (slice(top, top + tall), slice(max(left, 0), left + wide))
            ground[stone] *= rng.uniform(0.85, 1.15)
            ground[stone[0], slice(max(left, 0), max(left + joint, 0))] *= seam
        ground[top : top + joint] *= seam
    return ground


def _veined(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Marble, stone worktops: thin winding lines of a second colour."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(60, 200)
    bent = _clouds(height, width, rng, fineness=-2)[..., 0] * rng.uniform(1, 2.5)
    waves = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period + bent)
    share: Ground = (1 - np.abs(waves))[..., np.newaxis] ** rng.uniform(6, 20)
    share = share * np.float32(rng.uniform(0.2, 0.9))
    return _concrete(height, width, rng) * (1 - share) + _colour(rng) * share


def _terrazzo(height: int, width: int, rng: np.random.Generator) -> Ground:
    """Terrazzo, gravel, vinyl with chips: cells of a few colours, cut by straight edges (Voronoi)."""
    seeds = np.full((height, width), 255, np.uint8)
    count = int(rng.integers(150, 1500))
    seeds[rng.integers(height, size=count), rng.integers(width, size=count)] = 0
    _, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    base = _colour(rng)
    chips = [base * (1 + rng.normal(0, 0.3) + rng.normal(0, 0.05, 3)) for _ in range(3)]
    palette = np.stack([base, *chips]).astype(np.float32)
    shares = np.array([2.0, 1.0, 1.0, 1.0]) / 5
    ground: Ground = palette[rng.choice(4, size=cells.max() + 1, p=shares)][cells]
    return np.asarray(cv2.GaussianBlur(ground, (0, 0), rng.uniform(0.4, 1.2)), np.float32)


def _turn(ground: Ground) -> Ground:
    turned = cv2.rotate(ground, cv2.ROTATE_90_CLOCKWISE)
    return np.asarray(cv2.resize(turned, (ground.shape[1], ground.shape[0])), np.float32)


FAMILIES: dict[str, Callable[[int, int, np.random.Generator], Ground]] = {
    "plain": _plain,
    "concrete": _concrete,
    "speckled": _speckled,
    "woven": _woven,
    "patched": _patched,
    "wooden": _wooden,
    "tiled": _tiled,
    "paved": _paved,
    "veined": _veined,
    "terrazzo": _terrazzo,
}
TRAINED_ON = ("plain", "concrete", "speckled", "woven", "patched", "wooden")
"""Families that augmentation draws from."""
HELD_OUT = ("tiled", "paved", "veined", "terrazzo")
"""Families that only measure robustness, so that training cannot learn their patterns by heart; the last shares no
texture with those that are trained on either."""
