"""Write the crops of many photos at once, and count what gives none."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from trashlens.errors import DataError, ImageError
from trashlens.training.data.jpegs import encode_jpeg
from trashlens.training.data.manifest import SPLITS
from trashlens.training.data.taco.annotations import Scene
from trashlens.training.data.taco.config import TacoConfig
from trashlens.training.data.taco.crops import cut_box, read_view

__all__ = ["Crop", "Cutter"]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One crop that was written."""

    path: str
    """`<split>/<class>/<file>`."""
    sha256: str
    """Of its file, hexadecimal."""

    @property
    def place(self) -> tuple[str, str]:
        """Its split and class."""
        split, label, _ = self.path.split("/")
        return split, label


@dataclass(frozen=True, kw_only=True)
class Cutter:
    """Cuts photos' boxes into `<split>/<class>/<photo>-<box>.jpg`."""

    config: TacoConfig
    """Margin and smallest side."""
    classes: Mapping[str, str]
    """The class of each category that has one."""
    split: Mapping[str, str]
    """The split of each photo by path."""
    images: Path
    """Where the photos lie."""
    folder: Path
    """Where the crops go."""
    short_side_px: int
    """Longest allowed shorter side of a crop, pixels."""

    def write(self, scenes: Sequence[Scene], left_out: Counter[str]) -> list[Crop]:
        """Write every crop, return them in order, and count in `left_out` the boxes that give none, by why."""
        for side in SPLITS:
            for label in set(self.classes.values()):
                (self.folder / side / label).mkdir(parents=True, exist_ok=True)
        written: list[Crop] = []
        with ThreadPoolExecutor() as pool:
            done = pool.map(self._cut, scenes)
            for crops, skipped in tqdm(done, "crops", total=len(scenes), unit="image"):
                written += crops
                left_out.update(skipped)
        return written

    def _cut(self, scene: Scene) -> tuple[list[Crop], Counter[str]]:
        """Write one photo's crops; return them, and how many boxes give none."""
        boxes = [box for box in scene.boxes if box.category in self.classes]
        skipped = Counter({"no class": len(scene.boxes) - len(boxes)})
        try:
            view = read_view(self.images / scene.path, scene)
        except ImageError:
            return [], skipped + Counter({"image unreadable": len(boxes)})
        except DataError:
            return [], skipped + Counter({"image of another size": len(boxes)})
        crops = []
        stem = scene.path.rsplit(".", 1)[0].replace("/", "-")
        for box in boxes:
            crop = cut_box(view, box, self.config, short_side_px=self.short_side_px)
            if crop is None:
                skipped["too small"] += 1
                continue
            content = encode_jpeg(crop)
            path = f"{self.split[scene.path]}/{self.classes[box.category]}/{stem}-{box.id}.jpg"
            (self.folder / path).write_bytes(content)
            crops.append(Crop(path=path, sha256=hashlib.sha256(content).hexdigest()))
        return crops, skipped
