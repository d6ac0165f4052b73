"""A bundle of an earlier version gets what those of this one have, where that needs no checkpoint: heat maps."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from trashlens.bundle import JSON_FILE, Bundle
from trashlens.errors import ExportError
from trashlens.training.class_maps import explain_bundle
from trashlens.training.unrelated import unrelated_photos

__all__ = ["renew_bundle"]

EVERY = 8
"""Of the pictures of the package, noise and drawings and photographs, each so many is looked at."""


def renew_bundle(folder: Path) -> Bundle:
    """Add heat maps to the graph of the bundle in `folder`, write it, and return it.

    Its logits stay the same to the bit, so what was measured of it holds; what the records of the bundles beside
    it call by its former id is called by the new one. Provenance keeps the former SHA-256 below `maps`.

    Raises:
        BundleError: a bundle is missing or damaged.
        ExportError: it has heat maps already, or its network allows none.
    """
    former = Bundle.load(folder)
    pictures = [image for _, image in unrelated_photos()[::EVERY]]
    images = np.stack([former.preprocess(picture) for picture in pictures])
    renewed = explain_bundle(former, images)
    if renewed.model == former.model:
        raise ExportError(f"The {former.role} bundle has heat maps already.")
    how = "added to the finished graph, without training: its logits are the same to the bit"
    provenance = {**former.provenance, "maps": {"how": how, "former_sha256": former.sha256}}
    renewed = dataclasses.replace(renewed, provenance=provenance)
    beside = [record.parent for record in folder.absolute().parent.glob(f"*/{JSON_FILE}")]
    bundles = {other: renewed if other.samefile(folder) else Bundle.load(other) for other in beside}
    for other, bundle in bundles.items():
        metrics = _rename(bundle.metrics, former.short_id, renewed.short_id)
        dataclasses.replace(bundle, metrics=metrics).write(other)
    return Bundle.load(folder)


def _rename(record: Any, former: str, renewed: str) -> Any:
    """Return a record of JSON in which one value is replaced by another wherever it stands."""
    if isinstance(record, dict):
        return {key: _rename(value, former, renewed) for key, value in record.items()}
    if isinstance(record, list):
        return [_rename(value, former, renewed) for value in record]
    return renewed if record == former else record
