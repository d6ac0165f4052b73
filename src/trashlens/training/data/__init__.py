"""TrashNet from its source to split photos on disk, and from there to batches."""

from trashlens.training.data.loaders import (
    AugmentConfig,
    LoaderConfig,
    Loaders,
    make_loaders,
    read_photos,
)
from trashlens.training.data.manifest import SPLITS, Photo, read_manifest
from trashlens.training.data.prepare import DataConfig, prepare_data, read_data_record, read_originals
from trashlens.training.data.source import LABELS

__all__ = [
    "LABELS",
    "SPLITS",
    "AugmentConfig",
    "DataConfig",
    "LoaderConfig",
    "Loaders",
    "Photo",
    "make_loaders",
    "prepare_data",
    "read_data_record",
    "read_manifest",
    "read_originals",
    "read_photos",
]
