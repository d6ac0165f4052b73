"""Bytes, path or PIL image -> upright RGB; refuses what is not a photo; the one preprocessing."""

from trashlens.image.decode import decode_image
from trashlens.image.folders import list_labelled, list_photos, walk_photos
from trashlens.image.limits import DEFAULT_LIMITS, READABLE, ImageLimits, too_many_bytes
from trashlens.image.preprocess import Preprocess

__all__ = [
    "DEFAULT_LIMITS",
    "READABLE",
    "ImageLimits",
    "Preprocess",
    "decode_image",
    "list_labelled",
    "list_photos",
    "too_many_bytes",
    "walk_photos",
]
