"""Which photos training reads, how they are split, and where they lie."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trashlens.training.data.folders import FOLDER_SETS, TRASHNET
from trashlens.training.data.manifest import FOLDS, GROUPED_FILE
from trashlens.training.data.source import HUB_DATASET
from trashlens.training.data.taco import TACO, TacoConfig

__all__ = ["DataConfig", "name_processed"]

DATASETS = (*TRASHNET, *FOLDER_SETS)
"""The sets of photos that training reads."""


def name_processed(dataset: str, fold: int | None) -> str:
    """Return the name of the folder of prepared photos; `dataset` as in the settings or in a record."""
    own = "" if dataset in (*TRASHNET, HUB_DATASET) else f"-{dataset.lower()}"
    return f"processed{own}" if fold is None else f"processed{own}-fold{fold}"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the photos come from and how they are split."""

    dataset: str = "trashnet"
    """`trashnet`, also called `garbage` after its copy on Kaggle, or a set of image folders: `recycle`, or
    `recycle-small`, as many photos of it as the garbage set has, drawn by the seed."""
    source: str = "hub"
    """`hub` (garythung/trashnet), or the path of dataset-resized.zip or of a folder with the six classes; of
    `recycle` and `recycle-small` the folder that was downloaded; or `taco`, crops of TACO's photos by the settings
    of `taco`."""
    revision: str = "main"
    """Commit, tag or branch of the Hub dataset; what it resolved to is recorded."""
    folder: Path = Path("data")
    """Holds the committed manifests; the photos are written to `processed` below it."""
    split: Literal["official", "random", "grouped"] = "official"
    """The dataset's own lists, 80/10/10 stratified by class, or five folds with no object on two sides."""
    fold: int = 0
    """Which of the grouped split's five folds, 0 to 4, is the test split."""
    seed: int = 0
    """Seed of the random split."""
    short_side_px: int = 256
    """Shorter side of the photos written for training, pixels."""
    taco: TacoConfig = field(default_factory=TacoConfig)
    """How TACO's photos become crops; with the source `taco` alone."""

    def __post_init__(self) -> None:
        if self.short_side_px < 32:
            raise ValueError("short_side_px must be at least 32.")
        if not 0 <= self.fold < FOLDS:
            raise ValueError(f"fold must lie in 0 to {FOLDS - 1}.")
        if self.dataset not in DATASETS:
            raise ValueError(f"There is no dataset {self.dataset!r}; known are {', '.join(DATASETS)}.")
        if self.dataset not in TRASHNET and self.split != "random":
            raise ValueError(f"{self.dataset} has no official and no grouped split: give split random.")
        if self.fold and self.split != "grouped":
            raise ValueError("Only the grouped split has folds: give split grouped with fold.")
        if self.source == TACO and self.dataset not in TRASHNET:
            raise ValueError(
                f"The source taco is a data set of its own: leave out dataset {self.dataset}."
            )
        if self.source == TACO and self.split == "grouped":
            raise ValueError("The source taco has no grouped split: take official or random.")

    @property
    def images(self) -> Path:
        """Folder of TACO's photos."""
        return self.taco.images or self.folder / "raw" / TACO

    @property
    def processed(self) -> Path:
        """Folder of the prepared photos, `{train,val,test}/<class>/`; each fold and each data set has its own."""
        dataset = TACO if self.source == TACO else self.dataset
        return self.folder / name_processed(dataset, self.fold if self.split == "grouped" else None)

    @property
    def manifest(self) -> Path:
        """The split manifest: the committed official or grouped one, or the random split's own."""
        if self.source == TACO:
            drawn = self.split == "random"
            return self.folder / (f"taco-random-{self.seed}.csv" if drawn else "taco-official.csv")
        dataset = TRASHNET[0] if self.dataset in TRASHNET else self.dataset
        names = {
            "official": "trashnet-official.csv",
            "random": f"{dataset}-random-{self.seed}.csv",
            "grouped": GROUPED_FILE,
        }
        return self.folder / names[self.split]
