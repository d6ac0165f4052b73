"""Bundle -> Prediction with its time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from trashlens.bundle import MAPS, ROLES, Bundle, load_bundles
from trashlens.errors import BundleError, ProviderError
from trashlens.machine import count_cores
from trashlens.providers import CPU, find_provider

__all__ = [
    "Classifier",
    "Prediction",
    "load_classifiers",
]

SMALL = 5_000_000
"""Below so many parameters a network's single operations are taken to be short."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What one network says about one image."""

    confidences: Mapping[str, float]
    """Calibrated probability by class, in the bundle's order; they sum to 1."""
    infer_ms: float
    """Time of the network alone, milliseconds."""
    bundle: str
    """Short id of the bundle that answered; its record leads back to the data it was trained on."""
    sure: bool = True
    """Whether the best class reaches the bundle's threshold: if not, `label` is a guess, and the photo may well
    show no waste at all."""
    map: tuple[tuple[float, ...], ...] | None = None
    """How much each place of the square that the network saw speaks for `label`, rows from the top; what
    speaks against it is negative. The mean is the calibrated logit: softmax over those of all classes gives the
    confidences. None where it was not asked for, or where the bundle has no maps."""

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.confidences, key=lambda label: self.confidences[label])

    @property
    def confidence(self) -> float:
        """The probability of the most probable class."""
        return max(self.confidences.values())


class Classifier:
    """A bundle with a warm ONNX Runtime session; safe to call from several threads.

    Raises:
        BundleError: ONNX Runtime cannot load the bundle's graph.
        ProviderError: the installed ONNX Runtime does not compute on the provider.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 0, provider: str = CPU) -> None:
        """Open a session with `threads` threads for each network, 0 for one a core, on `cpu`, `cuda`, ..."""
        self.bundle = bundle
        chosen = find_provider(provider)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or count_cores()
        options.log_severity_level = 3
        # A thread that sleeps wakes late for the short operations of a small network, so the small ones' threads
        # spin: on two cores 1.9 instead of 2.5 ms, for 7 % fewer answers a second when two visitors ask at once.
        # Were the large one's to spin as well, that would be 22 % fewer. Spinning ends with the session's last
        # concurrent run, since it would steal the cores from the network that runs next.
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "1" if bundle.parameters < SMALL else "0"
        )
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self._session = ort.InferenceSession(
                # What the provider has no kernel for, the processor computes.
                bundle.model,
                options,
                providers=list(dict.fromkeys([chosen, find_provider(CPU)])),
            )
            # Python's session keeps the graph's bytes, for other providers to begin anew with; ours never change.
            self._session._model_bytes = None
            self._input = self._session.get_inputs()[0].name
            size_px = bundle.preprocess.size_px
            # The first run takes several times what the others do; what it leaves is given back.
            shrink = ort.RunOptions()
            shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
            zeros = np.zeros((1, 3, size_px, size_px), np.float32)
            self._outputs = [output.name for output in self._session.get_outputs()]
            logits = self._session.run(None, {self._input: zeros}, shrink)[0]
        except Exception as error:
            raise BundleError(f"ONNX Runtime cannot run the {bundle.role} bundle: {error}") from error
        if chosen not in self._session.get_providers():  # ONNX Runtime falls back without an error
            raise ProviderError(
                f"ONNX Runtime knows {provider} but cannot start it here. Look at its driver and libraries, "
                f"or choose {CPU}."
            )
        if logits.shape != (1, len(bundle.labels)):
            raise BundleError(
                f"The {bundle.role} bundle names {len(bundle.labels)} classes, "
                f"its graph answers with {logits.shape[-1]}."
            )

    @property
    def has_maps(self) -> bool:
        """Whether the bundle's graph can say what the network looked at."""
        return MAPS in self._outputs

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits [B, classes] of preprocessed images [B, 3, size_px, size_px]."""
        # ONNX Runtime computes the maps all the same, which cost less than a hundredth; its option to leave them
        # out, only_execute_path_to_fetches, changes nothing in the builds that are published.
        logits: NDArray[np.float32] = self._session.run(self._outputs[:1], {self._input: images})[0]
        return logits

    def infer_maps(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the logits [B, classes] and the maps [B, classes, h, w] whose means they are.

        Raises:
            BundleError: the bundle has no maps.
        """
        if not self.has_maps:
            raise BundleError(f"The {self.bundle.role} bundle has no heat maps.")
        logits, maps = self._session.run([self._outputs[0], MAPS], {self._input: images})
        return logits, maps

    def predict(self, images: NDArray[np.float32], *, explain: bool = False) -> list[Prediction]:
        """Return a prediction for each of the preprocessed images [B, 3, size_px, size_px].

        The time is the whole batch's, divided evenly. Where asked to `explain`, they have maps if the bundle has.
        """
        start = time.perf_counter()
        maps: NDArray[np.float32] | None = None
        if explain and self.has_maps:
            logits, maps = self.infer_maps(images)
        else:
            logits = self.infer(images)
        infer_ms = (time.perf_counter() - start) * 1e3 / len(images)
        # float64, so that the probabilities sum to 1 far beyond what anyone prints.
        scaled = logits.astype(np.float64) / self.bundle.temperature
        exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        # The one rule of Chow (1970): answer where the best class is probable enough, else say so.
        threshold = self.bundle.threshold or 0.0
        return [
            Prediction(
                confidences=dict(zip(self.bundle.labels, row.tolist(), strict=True)),
                infer_ms=infer_ms,
                bundle=self.bundle.short_id,
                sure=bool(row.max() >= threshold),
                map=None if maps is None else self._to_map(maps[index, row.argmax()]),
            )
            for index, row in enumerate(probabilities)
        ]

    def _to_map(self, values: NDArray[np.float32]) -> tuple[tuple[float, ...], ...]:
        """Return a class's map [h, w] on the scale of the calibrated logits."""
        scaled = np.round(values.astype(np.float64) / self.bundle.temperature, 4)
        return tuple(map(tuple, scaled.tolist()))


def load_classifiers(
    models: Path, *, roles: Sequence[str] = ROLES, threads: int = 0, provider: str = CPU
) -> dict[str, Classifier]:
    """Open the bundles of the roles below `models`, by role.

    Raises:
        BundleError: one of them is missing, damaged or cannot run.
        ProviderError: the installed ONNX Runtime does not compute on the provider.
    """
    bundles = load_bundles(models, roles=roles)
    return {
        role: Classifier(bundle, threads=threads, provider=provider) for role, bundle in bundles.items()
    }
