"""Which photos show the same object, by how alike they look.

TrashNet's objects were photographed several times, turned, moved and crushed, and most files are numbered at
random: only likeness tells. A photo is described by pretrained networks and by its colours. Objects too alike
to be told apart, white envelopes or bottles of a brand, share a group.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import AgglomerativeClustering
from torch import Tensor, nn
from tqdm import tqdm

from trashlens.image import Preprocess, decode_image

__all__ = [
    "GroupConfig",
    "count_colours",
    "describe_photos",
    "embed_photos",
    "find_border",
    "group_photos",
]

BATCH = 16
COLOUR_BINS = (4, 12, 12)
"""Of CIELAB's L, a and b."""
COLOUR_RANGE = ((0, 100), (-48, 48), (-48, 48))


@dataclass(frozen=True, kw_only=True)
class GroupConfig:
    """When photos count as photos of the same object; likeness is a cosine, 1 for equal photos."""

    threshold: float = 0.25
    """Two groups become one while the mean likeness of their photos, pair by pair, is at least this."""
    twins: float = 0.5
    """Two photos that are this much alike share a group, whatever the others of their groups are like."""
    seed: int = 0
    """Seed of the folds."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= self.twins <= 1:
            raise ValueError("threshold and twins must lie in (0, 1], threshold not above twins.")


@torch.inference_mode()
def embed_photos(
    network: nn.Module, photos: Sequence[bytes], preprocess: Preprocess
) -> NDArray[np.float32]:
    """Return a network's pooled features of each photo, float32 [N, features].

    They are the mean over the photo and the photo upside down: objects were turned between photos.

    Raises:
        ImageError: a photo cannot be read.
    """
    model: Any = network.eval()  # timm's extras over nn.Module are untyped

    def embed(images: Tensor) -> Tensor:
        pooled: Tensor = model.forward_head(model.forward_features(images), pre_logits=True)
        return pooled.flatten(1)

    embeddings = []
    for start in tqdm(range(0, len(photos), BATCH), "photos", unit="batch"):
        batch = [preprocess(decode_image(photo)) for photo in photos[start : start + BATCH]]
        images = torch.from_numpy(np.stack(batch)).contiguous(memory_format=torch.channels_last)
        both = embed(images) + embed(images.rot90(2, (2, 3)))
        embeddings.append(both.div(2).float().numpy())
    return np.concatenate(embeddings)


def count_colours(photos: Iterable[bytes]) -> NDArray[np.float32]:
    """Return the square roots of each photo's shares of colours (CIELAB), float32 [N, 576].

    Their scalar product is the Bhattacharyya coefficient of two photos' colours.

    Raises:
        ImageError: a photo cannot be read.
    """
    rows = []
    for photo in photos:
        pixels = np.asarray(decode_image(photo).resize((128, 96)), np.float32) / 255
        lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).reshape(-1, 3)
        low, high = np.transpose(COLOUR_RANGE)
        shares, _ = np.histogramdd(lab.clip(low, high), bins=COLOUR_BINS, range=COLOUR_RANGE)
        rows.append(np.sqrt(shares.ravel() / len(lab)))
    return np.array(rows, np.float32)


def describe_photos(views: Sequence[tuple[NDArray[np.float32], int]]) -> NDArray[np.float32]:
    """Return one unit vector a photo, [N, D], of several kinds of features with their numbers of components.

    Each kind [N, features] is made a unit vector, decorrelated and brought to equal variance in its first
    components, and made a unit vector again: what all photos share, the white board, stops counting (Jégou
    and Chum 2012). The scalar product of two photos is then the mean of their likeness in each kind.
    """
    whitened = [_whiten(features, components) for features, components in views]
    return np.hstack(whitened) / np.float32(np.sqrt(len(views)))


def group_photos(
    paths: Sequence[str], vectors: NDArray[np.float32], config: GroupConfig
) -> dict[str, str]:
    """Return each photo's group by path, from `describe_photos`' vectors [N, D]; groups lie within a class.

    Average linkage makes the groups: single linkage would chain half a class together. Then groups with twins
    among their photos are joined, since an object on two sides of a split is worse than a large group. A
    group is named after its first photo.
    """
    classes: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        classes[path.split("/")[0]].append(index)
    groups: dict[str, str] = {}
    for members in classes.values():
        clusters: dict[int, list[str]] = defaultdict(list)
        for index, cluster in zip(members, _cluster(vectors[members], config), strict=True):
            clusters[cluster].append(paths[index])
        for cluster_paths in clusters.values():
            first = min(cluster_paths, key=lambda path: (len(path), path))  # metal9 before metal10
            groups |= dict.fromkeys(cluster_paths, first.split("/")[-1].removesuffix(".jpg"))
    return groups


def find_border(
    paths: Sequence[str], vectors: NDArray[np.float32], groups: Mapping[str, str], *, count: int
) -> tuple[list[tuple[str, str, float]], list[tuple[str, str, float]]]:
    """Return the pairs of a class that were decided most narrowly, `count` each, with their likeness.

    First those kept together: a photo and the one of its group that it is most like, the least alike first.
    Then those kept apart: photos of different groups, the most alike first.
    """
    labels = np.array([path.split("/")[0] for path in paths])
    names = np.array([f"{path.split('/')[0]}/{groups[path]}" for path in paths])
    likeness = vectors @ vectors.T
    together = names[:, None] == names
    np.fill_diagonal(together, val=False)
    inside = np.where(together, likeness, -np.inf)
    nearest = inside.argmax(axis=1)
    held = {
        (min(one, other), max(one, other)): float(inside[one, other])
        for one, other in enumerate(nearest.tolist())
        if np.isfinite(inside[one, other])
    }
    apart = np.triu((labels[:, None] == labels) & (names[:, None] != names))
    parted = {(int(a), int(b)): float(likeness[a, b]) for a, b in np.argwhere(apart)}

    def named(
        pairs: Mapping[tuple[int, int], float], *, descending: bool
    ) -> list[tuple[str, str, float]]:
        ordered = sorted(pairs.items(), key=lambda pair: pair[1], reverse=descending)[:count]
        return [(paths[one], paths[other], value) for (one, other), value in ordered]

    return named(held, descending=False), named(parted, descending=True)


def _whiten(features: NDArray[np.float32], components: int) -> NDArray[np.float32]:
    rows = features.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows.mean(axis=0)
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = np.argsort(variances)[::-1][:components]
    kept = kept[variances[kept] > 1e-12 * variances.max()]
    white = rows @ axes[:, kept] / np.sqrt(variances[kept])
    unit: NDArray[np.float32] = (white / np.linalg.norm(white, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _cluster(vectors: NDArray[np.float32], config: GroupConfig) -> list[int]:
    """Return the cluster of each photo of a class."""
    if len(vectors) < 2:
        return [0] * len(vectors)
    likeness = (vectors @ vectors.T).clip(-1, 1)
    linkage = AgglomerativeClustering(
        n_clusters=None,
        metric="precomputed",
        linkage="average",
        distance_threshold=1 - config.threshold,
    )
    clusters = linkage.fit_predict(1 - likeness)
    first, second = np.nonzero(likeness >= config.twins)
    joined = coo_matrix((np.ones(len(first)), (clusters[first], clusters[second])))
    _, merged = connected_components(joined, directed=False)
    return [int(merged[cluster]) for cluster in clusters]
