"""The Webcam tab: a live stream, the chosen networks' results, and how fast they come."""

import dataclasses
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import gradio as gr

from trashlens.classifier import Comparison
from trashlens.errors import TrashlensError
from trashlens.server.desk import Desk
from trashlens.ui.camera import build_photo_input
from trashlens.ui.cards import render_cards, render_empty, render_problem, render_verdict

__all__ = ["Pace", "build_webcam_tab"]

INVITATION = "Start the camera, hold one object in front of it, and the results follow."
CHOOSE = "Choose at least one network, and its results appear here."
EVERY_S = 0.05
"""Time between two frames, seconds; a frame still on its way lets the next ones drop."""
WINDOW_S = 1.5
"""How far back the numbers are averaged, seconds."""

STAMP = "() => performance.now()"
# The server sends the stamp back with the result; the difference of one clock is the whole round trip.
READ_LATENCY = """
const recent = [];
watch("value", () => {
    const place = element.querySelector("[data-sent]");
    if (!place || !Number(place.dataset.sent)) return;
    const now = performance.now();
    recent.push([now, now - Number(place.dataset.sent)]);
    while (now - recent[0][0] > WINDOW_MS) recent.shift();
    const sorted = recent.map((sample) => sample[1]).sort((a, b) => a - b);
    place.textContent = sorted[sorted.length >> 1].toFixed(0) + " ms";
});
""".replace("WINDOW_MS", f"{1000 * WINDOW_S:.0f}")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The frames of the last moments, so that the numbers on the page can be read."""

    frames: tuple[tuple[float, Mapping[str, float]], ...] = field(default=())
    """For each frame, when its result was ready (s) and `infer_ms` by role."""

    def add(self, ready_s: float, comparison: Comparison) -> "Pace":
        """Return the pace with one more frame, and without those older than the window."""
        infer_ms = {role: prediction.infer_ms for role, prediction in comparison.predictions.items()}
        kept = tuple(frame for frame in self.frames if ready_s - frame[0] <= WINDOW_S)
        return Pace(frames=(*kept, (ready_s, infer_ms)))

    @property
    def frames_per_second(self) -> float | None:
        """Results per second over the window, or None before there are two."""
        if len(self.frames) < 2:
            return None
        return (len(self.frames) - 1) / (self.frames[-1][0] - self.frames[0][0])

    def smooth(self, comparison: Comparison) -> Comparison:
        """Return the comparison with each network's time replaced by its median over the window."""
        predictions = {
            role: dataclasses.replace(
                prediction,
                infer_ms=statistics.median(times[role] for _, times in self.frames if role in times),
            )
            for role, prediction in comparison.predictions.items()
        }
        return dataclasses.replace(comparison, predictions=predictions)


def build_webcam_tab(desk: Desk, tab: gr.Tab) -> gr.Image:
    """Lay out the tab inside the current Blocks and return its camera, which the page releases."""
    with gr.Row(elem_classes="tl-columns"):
        with gr.Column(scale=4, min_width=280):
            # Hidden until the tab is opened, like after it is left.
            camera = build_photo_input(
                label="Camera",
                sources=["webcam"],
                streaming=True,
                height=320,
                visible=False,
                elem_id="camera",
            )
            roles = list(desk.classifiers)
            networks = gr.CheckboxGroup(
                roles, value=roles, label="Networks that run", elem_id="networks"
            )
            readout = gr.HTML(
                _render_readout(None, 0),
                elem_id="readout",
                apply_default_css=False,
                js_on_load=READ_LATENCY,
            )
        with gr.Column(scale=9, min_width=640):
            results = gr.HTML(
                render_empty(desk.lineup, INVITATION), elem_id="webcam-results", apply_default_css=False
            )
    # The camera is off when the tab is opened again, and what it showed last would look like now.
    tab.select(
        lambda: (render_empty(desk.lineup, INVITATION), _render_readout(None, 0)),
        None,
        [results, readout],
        show_progress="hidden",
        api_visibility="private",
    )
    _stream(desk, camera, networks, results, readout)
    return camera


def _stream(
    desk: Desk,
    camera: gr.Image,
    networks: gr.CheckboxGroup,
    results: gr.HTML,
    readout: gr.HTML,
) -> None:
    """Answer every frame of the camera while it runs."""
    sent_ms = gr.Number(0, visible=False)
    pace = gr.State(Pace())

    async def look(
        frame: str | bytes | None, roles: list[str], sent: float | None, before: Pace
    ) -> tuple[str, str, Pace]:
        return await _answer(desk, frame, roles, sent or 0, before)

    # Gradio runs the listeners of an event in turn, so the stamp is there when the frame leaves.
    camera.stream(None, None, sent_ms, js=STAMP, stream_every=EVERY_S, show_progress="hidden")
    camera.stream(
        look,
        [camera, networks, sent_ms, pace],
        [results, readout, pace],
        stream_every=EVERY_S,
        time_limit=desk.settings.stream_s,
        concurrency_limit=desk.settings.viewers,
        show_progress="hidden",
        api_visibility="private",
    )


async def _answer(
    desk: Desk,
    frame: str | bytes | None,
    roles: list[str],
    sent_ms: float,
    before: Pace,
) -> tuple[str, str, Pace]:
    """Return the results and the readout as HTML, and the pace with this frame in it."""
    chosen = [role for role in desk.classifiers if role in roles]
    if frame is None or not chosen:
        sentence = INVITATION if chosen else CHOOSE
        return render_empty(desk.lineup, sentence), _render_readout(None, 0), Pace()
    try:
        comparison = await desk.answer(frame, way="frame", roles=chosen)
    except TrashlensError as error:
        # No toast: a broken camera would send one with each frame.
        return render_problem(desk.lineup, str(error)), _render_readout(None, 0), Pace()
    after = before.add(time.perf_counter(), comparison)
    smooth = after.smooth(comparison)
    results = render_verdict(smooth) + render_cards(desk.lineup, smooth)
    return results, _render_readout(after.frames_per_second, sent_ms), after


def _render_readout(frames_per_second: float | None, sent_ms: float) -> str:
    """Return the frame rate and a place for the latency, which the browser fills in."""
    rate = "&ndash;" if frames_per_second is None else f"{frames_per_second:.0f}"
    return (
        '<dl class="tl-readout">'
        f'<div><dt>Frames per second</dt><dd id="rate">{rate}</dd></div>'
        f'<div><dt>Latency</dt><dd id="latency" data-sent="{sent_ms}">&ndash;</dd></div></dl>'
        '<p class="tl-note">Latency is the way of a frame from your browser to the server and back as a '
        "result. Both numbers cover the last moments.</p>"
    )
