"""The colours and axes that all pictures share, and how they become files."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

__all__ = ["COLOURS", "GREENS", "INK", "LINE", "SOFT", "style_axes", "write_pictures"]

COLOURS = {"teacher": "#7a4a78", "baseline": "#a8622a", "student": "#1f6b4d"}
INK, SOFT, LINE = "#1d2420", "#59645d", "#e2e0d8"
GREENS = LinearSegmentedColormap.from_list("greens", ["#ffffff", "#86bfa0", "#1a563f"])


def style_axes(axes: Axes) -> None:
    """Take away what is no data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", color=LINE, labelcolor=SOFT)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)


def write_pictures(figures: Mapping[str, Figure], folder: Path, *, dpi: int = 150) -> None:
    """Write each figure to `<folder>/<name>.png`, with `dpi` pixels an inch, and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=dpi)
        print(f"Picture: {path}")
