"""Bytes, path or PIL image -> upright RGB; refuses what is not a photo; the one preprocessing."""

from trashlens.image.archives import Archive, is_archive
from trashlens.image.decode import decode_image
from trashlens.image.folders import list_labelled, list_photos, walk_photos
from trashlens.image.limits import DEFAULT_LIMITS, READABLE, ImageLimits, check_bytes
from trashlens.image.preprocess import Preprocess
from trashlens.image.thumbnail import encode_preview, encode_thumbnail

__all__ = [
    "DEFAULT_LIMITS",
    "READABLE",
    "Archive",
    "ImageLimits",
    "Preprocess",
    "check_bytes",
    "decode_image",
    "encode_preview",
    "encode_thumbnail",
    "is_archive",
    "list_labelled",
    "list_photos",
    "walk_photos",
]
