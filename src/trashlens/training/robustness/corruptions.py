"""Ways in which a visitor's photo differs from TrashNet's, each at three strengths.

Names and idea are ImageNet-C's (Hendrycks and Dietterich 2019), for what phones and kitchens do to photos of
waste; zoom-out, rotation and other grounds are added, since TrashNet shows none of them.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from trashlens.training.data.augment import change_light
from trashlens.training.data.backgrounds import HELD_OUT, Grounds
from trashlens.training.data.foreground import Cutout, cut_out, place

__all__ = ["CLEAN", "CORRUPTIONS", "STRENGTHS", "VARIANTS", "Corruptor", "Scene"]

Pixels = NDArray[np.uint8]
Change = Callable[["Scene", np.random.Generator, Grounds], Pixels]

STRENGTHS = (1, 2, 3)
CLEAN = ("clean", 0)
"""The variant in which nothing is changed."""
GROUNDS = 40
"""Grounds drawn for a measurement; each is turned and lit anew for each photo."""


@dataclass(frozen=True)
class Scene:
    """A photo that is changed in many ways."""

    path: str
    """`<class>/<file name>`; the chances of its changes are drawn from it."""
    label: str
    """Class."""
    photo: Pixels
    """The whole photo, RGB [H, W, 3]."""

    @property
    def side_px(self) -> int:
        """The photo's shorter side: the side of the square that networks see."""
        return int(min(self.photo.shape[:2]))

    @cached_property
    def square(self) -> Pixels:
        """The centred square, [side_px, side_px, 3]."""
        return _cut_square(self.photo, self.side_px)

    @cached_property
    def cutout(self) -> Cutout:
        """The photo taken apart, a tenth of a second once."""
        return cut_out(self.photo)

    @property
    def board_and_photo(self) -> Pixels:
        """The photo with how much of each pixel is board as a fourth channel, [H, W, 4]."""
        return np.dstack([self.photo, 255 - self.cutout.hull])


class Corruptor:
    """Changes photos; the same photo, corruption and strength give the same picture for the same seed."""

    def __init__(self, *, seed: int = 0) -> None:
        """Draw no ground before one is needed."""
        self.seed = seed
        self._grounds: dict[int, Grounds] = {}

    def __call__(self, scene: Scene, name: str, strength: int) -> Pixels:
        """Return the centred square of the changed photo, RGB uint8 [side_px, side_px, 3].

        Chance draws the same for the three strengths of a corruption, the grain, the direction or the ground,
        so that only its amount differs.
        """
        if (name, strength) == CLEAN:
            return scene.square
        rng = np.random.default_rng(
            [self.seed, zlib.crc32(scene.path.encode()), zlib.crc32(name.encode())]
        )
        return CORRUPTIONS[name][strength - 1](scene, rng, self._grounds_of(scene.side_px))

    def _grounds_of(self, side_px: int) -> Grounds:
        if side_px not in self._grounds:
            self._grounds[side_px] = Grounds(side_px, GROUNDS, HELD_OUT, seed=self.seed)
        return self._grounds[side_px]


def _cut_square(photo: Pixels, side_px: int) -> Pixels:
    top, left = (photo.shape[0] - side_px) // 2, (photo.shape[1] - side_px) // 2
    return np.ascontiguousarray(photo[top : top + side_px, left : left + side_px])


def _blur(scene: Scene, _rng: np.random.Generator, _grounds: Grounds, *, share: float) -> Pixels:
    """Out of focus: a Gaussian whose deviation is a share of the side."""
    blurred = cv2.GaussianBlur(scene.photo, (0, 0), share * scene.side_px)
    return _cut_square(blurred, scene.side_px)


def _noise(scene: Scene, rng: np.random.Generator, _grounds: Grounds, *, deviation: float) -> Pixels:
    """Too little light: normal noise in each channel, its deviation in shares of full brightness."""
    grain = rng.standard_normal(scene.square.shape, np.float32) * np.float32(255 * deviation)
    return np.clip(scene.square + grain, 0, 255).round().astype(np.uint8)


def _brightness(scene: Scene, _rng: np.random.Generator, _grounds: Grounds, *, gain: float) -> Pixels:
    """Under- or overexposed."""
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(scene.square)).enhance(gain))


def _contrast(scene: Scene, _rng: np.random.Generator, _grounds: Grounds, *, share: float) -> Pixels:
    """Flat light, haze: what is left of the differences from the mean grey."""
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(scene.square)).enhance(share))


def _white_balance(scene: Scene, rng: np.random.Generator, _grounds: Grounds, *, cast: float) -> Pixels:
    """Light of another colour, warm or cold: gains of red and blue against each other (von Kries 1902)."""
    warm = cast if rng.random() < 0.5 else -cast
    gains = np.exp(np.array([warm, 0.0, -warm]))
    table = np.clip(np.arange(256)[:, np.newaxis] * gains, 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.LUT(scene.square, table[np.newaxis]), np.uint8)


def _jpeg(scene: Scene, _rng: np.random.Generator, _grounds: Grounds, *, quality: int) -> Pixels:
    """Sent through a messenger once too often."""
    buffer = io.BytesIO()
    Image.fromarray(scene.square).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _zoom_out(scene: Scene, _rng: np.random.Generator, _grounds: Grounds, *, scale: float) -> Pixels:
    """Taken from further away: the whole photo smaller, on its own board."""
    height, width = (round(scale * side) for side in scene.photo.shape[:2])
    small = cv2.resize(scene.board_and_photo, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = max(0, scene.side_px - height), max(0, scene.side_px - width)
    margins = (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
    seen = cv2.copyMakeBorder(small, *margins, cv2.BORDER_REPLICATE)
    photo = np.ones((height, width), np.float32)
    inside = cv2.copyMakeBorder(photo, *margins, cv2.BORDER_CONSTANT, value=0)
    return _cut_square(_extend_board(seen, inside), scene.side_px)


def _rotate(scene: Scene, rng: np.random.Generator, _grounds: Grounds, *, degrees: float) -> Pixels:
    """Taken askew, to the left or to the right."""
    height, width = scene.photo.shape[:2]
    angle = degrees if rng.random() < 0.5 else -degrees
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    size = (width, height)
    seen = cv2.warpAffine(scene.board_and_photo, turn, size, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones((height, width), np.float32), turn, size)
    return _cut_square(_extend_board(seen, inside), scene.side_px)


def _extend_board(seen: Pixels, inside: NDArray[np.float32]) -> Pixels:
    """Return the photo [H, W, 3] with the board's colours carried on where it does not reach.

    `seen` is [H, W, 4], as `Scene.board_and_photo`; `inside` [H, W] is 1 where the photo lies, 0 beyond. The
    colours are averaged over the board near by (normalised convolution, Knutsson and Westin 1993), at an eighth
    of the size, since they change slowly: an object at the photo's edge leaves no trail.
    """
    height, width = inside.shape
    colours, board = seen[..., :3].astype(np.float32), inside * seen[..., 3] / np.float32(255)
    weight = board if board.mean() > 0.01 * inside.mean() else inside
    weighted = np.dstack([colours * weight[..., np.newaxis], weight])
    small = cv2.resize(weighted, (max(2, width // 8), max(2, height // 8)), interpolation=cv2.INTER_AREA)
    # A little of the whole board's mean, for where none is near.
    sums = cv2.GaussianBlur(small, (0, 0), min(height, width) / 32) + 1e-3 * small.mean(axis=(0, 1))
    smooth = cv2.resize(sums[..., :3] / sums[..., 3:], (width, height))
    # Faded out inside the photo's edge, so that no frame is seen around it.
    faded = 2 * cv2.GaussianBlur(inside, (0, 0), min(height, width) / 60) - 1
    share = np.clip(faded, 0, 1)[..., np.newaxis]
    extended: Pixels = (share * colours + (1 - share) * smooth).round().astype(np.uint8)
    return extended


def _replace_background(
    scene: Scene,
    rng: np.random.Generator,
    grounds: Grounds,
    *,
    scales: tuple[float, float],
    light: float,
) -> Pixels:
    """On a floor that no training saw, ever further away, in ever other light."""
    view = place(scene.cutout, rng, grounds, size_px=scene.side_px, scales=scales)
    return change_light(view, rng, light)


CORRUPTIONS: dict[str, tuple[Change, Change, Change]] = {
    "blur": (partial(_blur, share=0.004), partial(_blur, share=0.008), partial(_blur, share=0.016)),
    "noise": (
        partial(_noise, deviation=0.05),
        partial(_noise, deviation=0.10),
        partial(_noise, deviation=0.18),
    ),
    "darker": (
        partial(_brightness, gain=0.7),
        partial(_brightness, gain=0.5),
        partial(_brightness, gain=0.3),
    ),
    "brighter": (
        partial(_brightness, gain=1.2),
        partial(_brightness, gain=1.4),
        partial(_brightness, gain=1.7),
    ),
    "contrast": (
        partial(_contrast, share=0.7),
        partial(_contrast, share=0.45),
        partial(_contrast, share=0.25),
    ),
    "white balance": (
        partial(_white_balance, cast=0.08),
        partial(_white_balance, cast=0.16),
        partial(_white_balance, cast=0.28),
    ),
    "JPEG": (partial(_jpeg, quality=40), partial(_jpeg, quality=20), partial(_jpeg, quality=8)),
    "zoom-out": (
        partial(_zoom_out, scale=0.75),
        partial(_zoom_out, scale=0.5),
        partial(_zoom_out, scale=0.35),
    ),
    "rotation": (
        partial(_rotate, degrees=15),
        partial(_rotate, degrees=30),
        partial(_rotate, degrees=45),
    ),
    "background": (
        partial(_replace_background, scales=(0.9, 1.1), light=0.1),
        partial(_replace_background, scales=(0.55, 0.75), light=0.2),
        partial(_replace_background, scales=(0.35, 0.5), light=0.3),
    ),
}
"""By name: the changes at strengths 1, 2 and 3."""
VARIANTS = (CLEAN, *((name, strength) for name in CORRUPTIONS for strength in STRENGTHS))
"""What each photo is turned into: itself, then every corruption at its strengths, (name, strength)."""
