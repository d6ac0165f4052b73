"""TrashNet, or crops of TACO, from the source to split photos on disk, and from there to batches."""

from trashlens.training.data.augment import AugmentConfig
from trashlens.training.data.config import DataConfig, name_processed
from trashlens.training.data.differences import check_prepared, datasets_differ, splits_differ
from trashlens.training.data.folders import FOLDER_SETS, TRASHNET
from trashlens.training.data.folds import Leak, assign_folds, leak_of
from trashlens.training.data.loaders import LoaderConfig, Loaders, make_loaders, read_labels, read_photos
from trashlens.training.data.manifest import (
    FOLDS,
    SPLITS,
    GroupedPhoto,
    Photo,
    read_grouped,
    read_groups,
    read_manifest,
)
from trashlens.training.data.prepare import Original, prepare_data, read_originals
from trashlens.training.data.record import RECORD_FILE, read_data_record
from trashlens.training.data.source import HUB_DATASET, LABELS
from trashlens.training.data.splitting import read_split
from trashlens.training.data.taco import TACO, TacoConfig, crops_differ, describe_crops

__all__ = [
    "FOLDER_SETS",
    "FOLDS",
    "HUB_DATASET",
    "LABELS",
    "RECORD_FILE",
    "SPLITS",
    "TACO",
    "TRASHNET",
    "AugmentConfig",
    "DataConfig",
    "GroupedPhoto",
    "Leak",
    "LoaderConfig",
    "Loaders",
    "Original",
    "Photo",
    "TacoConfig",
    "assign_folds",
    "check_prepared",
    "crops_differ",
    "datasets_differ",
    "describe_crops",
    "leak_of",
    "make_loaders",
    "name_processed",
    "prepare_data",
    "read_data_record",
    "read_grouped",
    "read_groups",
    "read_labels",
    "read_manifest",
    "read_originals",
    "read_photos",
    "read_split",
    "splits_differ",
]
