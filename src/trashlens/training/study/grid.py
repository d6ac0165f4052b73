"""A study of every combination: data sets by networks by frozen shares, each cell a variant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Cell", "Grid", "name_share"]


class Cell(NamedTuple):
    """One combination of a grid."""

    dataset: str
    """Name of the data set, as the grid has it."""
    network: str
    """Name of the network, as the grid has it."""
    share: float
    """Share of the top-level parts that is frozen."""

    @property
    def variant(self) -> str:
        """The name of the variant, for instance `garbage-resnet18-6of10`."""
        return f"{self.dataset}-{self.network}-{name_share(self.share, joined='of')}"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is combined; each combination is trained with every seed of the study."""

    datasets: dict[str, dict[str, Any]]
    """By name, the settings that choose a data set, for instance `data.dataset: recycle`."""
    networks: dict[str, dict[str, Any]]
    """By name, the settings that choose a network, its weights and the size of its input."""
    frozen_shares: list[float]
    """Shares of the networks' top-level parts that stay as they are (`network.frozen_share`), in tenths; the
    others are compared with the first."""
    recipe: str = "baseline"
    """The recipe that all start from: the name of a shipped one, or a YAML file."""

    def __post_init__(self) -> None:
        if not (self.datasets and self.networks and self.frozen_shares):
            raise ValueError("A grid needs datasets, networks and frozen_shares.")
        tenths = [round(10 * share, 9) for share in self.frozen_shares]
        if len(set(tenths)) < len(tenths) or any(one not in range(10) for one in tenths):
            raise ValueError("frozen_shares must differ and be tenths from 0 to 0.9.")

    def cells(self) -> Iterator[Cell]:
        """Yield every combination, in the order in which they are trained."""
        for dataset in self.datasets:
            for network in self.networks:
                for share in self.frozen_shares:
                    yield Cell(dataset, network, share)

    def settings_of(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell changes in the recipe, by dotted name."""
        return {
            **self.datasets[cell.dataset],
            **self.networks[cell.network],
            "network.frozen_share": cell.share,
        }

    def find_variants(self, level: str) -> list[str]:
        """Return the variants of a data set or a network by its name; none where there is no such."""
        return [cell.variant for cell in self.cells() if level in (cell.dataset, cell.network)]

    def variants(self) -> dict[str, Mapping[str, Any]]:
        """Return what each cell's variant is made of: its recipe and its settings."""
        return {
            cell.variant: {"recipe": self.recipe, "settings": self.settings_of(cell)}
            for cell in self.cells()
        }


def name_share(share: float, *, joined: str = " of ") -> str:
    """Return a share in tenths, as `6 of 10`."""
    return f"{10 * share:.0f}{joined}10"
