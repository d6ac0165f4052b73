"""One photo under every corruption, for the eye."""

from matplotlib.figure import Figure
from PIL import Image

from trashlens.scoreboard import INK, SOFT
from trashlens.training.pictures.sheets import CREDIT
from trashlens.training.robustness.corruptions import CLEAN, CORRUPTIONS, STRENGTHS, Corruptor, Scene

__all__ = ["draw_sheet"]

CELL_PX, GAP_PX = 128, 6


def draw_sheet(scene: Scene, *, seed: int = 0) -> Figure:
    """Return the photo and, a column each, its corruptions: strength grows from top to bottom."""
    corrupt, step = Corruptor(seed=seed), CELL_PX + GAP_PX
    columns = {CLEAN[0]: (CLEAN[1],), **dict.fromkeys(CORRUPTIONS, STRENGTHS)}
    width, height = step * len(columns) + 10, step * len(STRENGTHS) + 44
    # One unit of the axes is one pixel at matplotlib's usual 100 per inch.
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    for column, (name, strengths) in enumerate(columns.items()):
        left = 8 + step * column
        axes.text(left, 16, name, fontsize=8.5, color=INK)
        for row, strength in enumerate(strengths):
            view = Image.fromarray(corrupt(scene, name, strength))
            thumbnail = view.resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
            top = 24 + step * row
            axes.imshow(thumbnail, extent=(left, left + CELL_PX, top + CELL_PX, top))
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    axes.text(8, height - 6, CREDIT, fontsize=6.5, color=SOFT)
    axes.set_axis_off()
    return figure
