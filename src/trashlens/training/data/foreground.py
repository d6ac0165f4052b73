"""What of a TrashNet photo is the object and what the board beneath it, and the object on another ground.

A board is bright, of one colour and smoothly lit. Its colour is fitted as a quadratic surface; what differs
is the object (GrabCut, Rother et al. 2004). On the new ground the board's own shadows and, through glass and
clear plastic, its highlights stay: the ground is multiplied by how the light on the board differs from the
fit. So an object that the mask misses is tinted rather than lost.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trashlens.training.data.backgrounds import Grounds

__all__ = ["Cutout", "cut_out", "place"]

WORK_PX = 128
"""Shorter side at which the object is sought, pixels: a tenth of a second a photo."""
BOARD_DISTANCE, OBJECT_DISTANCE = 6.0, 22.0
"""Distances from the board's colour, in Lab units, that count as surely board and as likely object."""
MIN_SHARE = 0.005
"""An object, or a board, with less of the picture was not found."""
FITTING_ROUNDS = 6
AXES = np.array([0.7, 1.5, 1.5], np.float32)
"""Weights of Lab's axes in a distance: shadows change lightness, objects colour."""
OBJECT = (cv2.GC_FGD, cv2.GC_PR_FGD)
MIN_LIGHTNESS, MAX_CHROMA = 90.0, 22.0
"""A board is no darker and no more colourful, 8-bit Lab; a box that fills the picture is."""
EDGE = 10.0
"""Change of lightness from pixel to pixel that is an edge and no soft shadow, of 255."""


@dataclass(frozen=True)
class Cutout:
    """A photo taken apart."""

    image: NDArray[np.uint8]
    """The photo, RGB [H, W, 3]."""
    mask: NDArray[np.uint8]
    """How much of each pixel is object by its colour, 0..255, [H, W]; 255 all over where there is no board."""
    hull: NDArray[np.uint8]
    """The same with everything between the object's edges: right for white paper, wrong for clear glass."""
    light: NDArray[np.uint8]
    """Brightness relative to the fitted board, 128 is as bright, [H, W]: shadows and highlights."""

    @property
    def centre(self) -> tuple[float, float]:
        """Where the object's middle is, (x, y) in pixels."""
        moments = cv2.moments(self.hull)
        return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


def cut_out(image: NDArray[np.uint8]) -> Cutout:
    """Return the photo, RGB uint8 [H, W, 3], taken apart; without a visible board all of it is the object."""
    height, width = image.shape[:2]
    scale = WORK_PX / min(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (3, 3), 0), cv2.COLOR_RGB2LAB).astype(np.float32)
    board = _fit_board(lab)
    mask = _find_object(small, lab, board)
    if mask is None:
        full = np.full((height, width), 255, np.uint8)
        return Cutout(image, full, full, np.full((height, width), 128, np.uint8))
    hull = _fill_between_edges(mask, lab[..., 0])
    mask, hull = (_soften(each, (width, height)) for each in (mask, hull))
    return Cutout(image, mask, hull, _relative_light(image, board[..., 0]))


def _find_object(
    small: NDArray[np.uint8], lab: NDArray[np.float32], board: NDArray[np.float32]
) -> NDArray[np.uint8] | None:
    """Return the object's pixels as 1, [H, W]; None where no board and object can be told apart."""
    lightness, chroma = board[..., 0].mean(), np.linalg.norm(board[..., 1:] - 128, axis=2).mean()
    if lightness < MIN_LIGHTNESS or chroma > MAX_CHROMA:
        return None
    distance = np.linalg.norm((lab - board) * AXES, axis=2)
    guess = np.full(distance.shape, cv2.GC_PR_BGD, np.uint8)
    guess[distance > OBJECT_DISTANCE] = cv2.GC_PR_FGD
    guess[distance > 2 * OBJECT_DISTANCE] = cv2.GC_FGD
    guess[distance < BOARD_DISTANCE] = cv2.GC_BGD
    likely = np.isin(guess, OBJECT).mean()
    if likely < MIN_SHARE or (guess == cv2.GC_BGD).mean() < 10 * MIN_SHARE:
        return None
    everywhere, models = (0, 0, 0, 0), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.grabCut(small, guess, everywhere, *models, 3, cv2.GC_INIT_WITH_MASK)
    mask: NDArray[np.uint8] = np.isin(guess, OBJECT).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return mask if MIN_SHARE < mask.mean() < 1 - 10 * MIN_SHARE else None


def _fill_between_edges(mask: NDArray[np.uint8], lightness: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the convex hull [H, W] of the object's pixels and of sharp edges beside it, as 1."""
    edges = cv2.morphologyEx(lightness, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > EDGE
    joined = cv2.morphologyEx(mask | edges.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(joined)
    areas = statistics[:, cv2.CC_STAT_AREA]
    kept = [part for part in range(1, count) if areas[part] >= 0.1 * areas[1:].max()]
    points = cv2.findNonZero(np.isin(parts, kept).astype(np.uint8))
    hull = np.zeros_like(mask)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    return hull


def _soften(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a mask of 0 and 1 as 0..255 with soft edges, at another (width, height)."""
    blurred = cv2.GaussianBlur(255.0 * mask.astype(np.float32), (0, 0), 1.0)
    soft: NDArray[np.uint8] = cv2.resize(blurred, size).round().astype(np.uint8)
    return soft


def _fit_board(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the board's colour at each pixel, Lab [H, W, 3]: a quadratic surface through what lies near it.

    The border starts the fit, since objects lie in the middle; outliers leave it round by round.
    """
    height, width = lab.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height - 0.5, x / width - 0.5
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).reshape(-1, 6)
    colours = lab.reshape(-1, 3)
    edge = max(3, height // 16)
    border = np.ones((height, width), bool)
    border[edge:-edge, edge:-edge] = False
    on_border = border.ravel()
    used = on_border & (np.abs(colours - np.median(colours[on_border], axis=0)).max(axis=1) < 40)
    surface = np.broadcast_to(np.median(colours[on_border], axis=0), colours.shape)
    for round_ in range(FITTING_ROUNDS):
        if used.sum() < 50:
            break
        surface = terms @ np.linalg.lstsq(terms[used], colours[used], rcond=None)[0]
        distance = np.linalg.norm((colours - surface) * AXES, axis=1)
        used = distance < (18 if round_ < 3 else 12)
        if round_ < 2:
            used &= on_border | (distance < 8)
    return surface.reshape(lab.shape).astype(np.float32)


def _relative_light(image: NDArray[np.uint8], board: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the photo's lightness [H, W] over the board's, 128 where they agree, linear in brightness."""
    height, width = image.shape[:2]
    lightness = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32)
    expected = np.maximum(cv2.resize(board, (width, height)), 16)
    light: NDArray[np.uint8] = (
        np.clip(128 * (lightness / expected) ** 1.5, 0, 255).round().astype(np.uint8)
    )
    return light


def place(
    cutout: Cutout,
    rng: np.random.Generator,
    grounds: Grounds,
    *,
    size_px: int,
    scales: tuple[float, float] = (0.4, 1.25),
) -> NDArray[np.uint8]:
    """Return the object on a drawn ground, turned and moved, as RGB uint8 [size_px, size_px, 3].

    `scales` are the photo's shorter side in the view, as shares of the view's: below 1 the object is seen from
    further away than TrashNet's photographers stood. The grounds' side must be `size_px`.
    """
    photo, mask, light = cutout.image, cutout.hull if rng.random() < 0.5 else cutout.mask, cutout.light
    height, width = mask.shape
    (x, y), share = cutout.centre, np.exp(rng.uniform(*np.log(scales)))
    scale = share * size_px / min(height, width)
    while (
        scale < 0.6
    ):  # warping takes single pixels: shrink in steps first, or thin things fall to pieces
        photo, mask, light = (cv2.pyrDown(each) for each in (photo, mask, light))
        scale, x, y = 2 * scale, x / 2, y / 2
    move = cv2.getRotationMatrix2D((x, y), rng.uniform(0, 360), scale)
    if rng.random() < 0.5:
        move = move @ np.diag([-1.0, 1.0, 1.0]) + np.array(
            [[0, 0, 2 * x * move[0, 0]], [0, 0, 2 * x * move[1, 0]]]
        )
    move[:, 2] += size_px * (0.5 + rng.uniform(-0.2, 0.2, 2)) - (x, y)
    size = (size_px, size_px)
    seen = cv2.warpAffine(photo, move, size, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    alpha = cv2.warpAffine(mask, move, size)[..., np.newaxis] / np.float32(255)
    # What lies beyond the photo is lit as the board is.
    lit = cv2.warpAffine(light, move, size, borderMode=cv2.BORDER_CONSTANT, borderValue=128)
    ground = grounds.pick(rng) * (lit[..., np.newaxis] * np.float32(255 / 128))
    view: NDArray[np.uint8] = np.clip(ground + alpha * (seen - ground), 0, 255).astype(np.uint8)
    return view
