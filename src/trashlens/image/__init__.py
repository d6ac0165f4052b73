"""Bytes, path or PIL image -> upright RGB; refuses what is not a photo; the one preprocessing."""

from trashlens.image.decode import decode_image
from trashlens.image.folders import list_labelled, list_photos, walk_photos
from trashlens.image.limits import READABLE, ImageLimits
from trashlens.image.preprocess import Preprocess

__all__ = [
    "READABLE",
    "ImageLimits",
    "Preprocess",
    "decode_image",
    "list_labelled",
    "list_photos",
    "walk_photos",
]
