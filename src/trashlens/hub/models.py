"""The model repository: three bundles, their checkpoints, the card and its pictures, in one commit."""

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from trashlens.bundle import JSON_FILE, MODEL_FILE, ROLES, Bundle, load_bundles
from trashlens.checkpoint_files import CHECKPOINT_FILES, RECORD_FILE, WEIGHTS_FILE
from trashlens.files import hash_file
from trashlens.hub.card import is_measured, write_card
from trashlens.hub.changes import Files, Head, compare
from trashlens.hub.client import connect, explain, retry
from trashlens.hub.repository import Outcome, Repository, check_name
from trashlens.published import note_place
from trashlens.scoreboard import draw_pictures

__all__ = ["publish_models", "version_of"]

IMAGES = "images"
TRACES = ("recipe", "inputs", "epoch", "history")
"""What a checkpoint's record and the provenance of its bundle agree in, beside the id of their run."""


def publish_models(
    repo: str,
    models: Path,
    *,
    checkpoints: Path | None = None,
    space: str | None = None,
    source: str | None = None,
    private: bool = False,
    dry_run: bool = False,
) -> Outcome:
    """Make the model repository `repo` hold the three bundles below `models`, and tag them.

    Each record names the repository, whatever it named before; those below `models` stay as they are.
    `checkpoints` is the folder of the training runs, `<role>/model.safetensors`; the Space `space` and the
    code's address `source` are named in the card. A dry run sends nothing.

    Raises:
        BundleError: a bundle is missing or damaged.
        HubError: there is no token, or the Hub refuses; the repository is as it was.
    """
    if space is not None:
        check_name(space)
    bundles = load_bundles(models)
    version = version_of(models)
    files: dict[str, Path | bytes] = {
        f"{role}/{MODEL_FILE}": models / role / MODEL_FILE for role in bundles
    }
    for role in bundles:
        files[f"{role}/{JSON_FILE}"] = note_place(
            (models / role / JSON_FILE).read_bytes(), hub={"repo": repo}
        )
    found, notes = _find_checkpoints(bundles, checkpoints)
    files |= found | _draw(bundles)
    card = write_card(bundles, repo=repo, version=version, space=space, source=source)
    files["README.md"] = card.encode()

    def obsolete(head: Head) -> Collection[str]:
        return _find_obsolete(files, head)

    repository = Repository(api=connect(anonymous=dry_run), name=repo, kind="model")
    if dry_run:
        outcome = repository.preview(files, obsolete=obsolete)
    else:
        outcome = repository.publish(
            files, message=f"Publish bundles {version}", obsolete=obsolete, private=private
        )
        with explain(f"tag {repo}"):
            retry(
                lambda: repository.api.create_tag(
                    repo, tag=version, revision=outcome.commit, exist_ok=True
                )
            )
    return outcome.with_notes(*notes)


def version_of(models: Path) -> str:
    """Return the name of the three bundles' content, by which their tag pins them: `v-` and 12 hex digits."""
    records = b"".join((models / role / JSON_FILE).read_bytes() for role in ROLES)
    return f"v-{hashlib.sha256(records).hexdigest()[:12]}"


def _find_checkpoints(
    bundles: Mapping[str, Bundle], folder: Path | None
) -> tuple[dict[str, Path | bytes], list[str]]:
    """Return the checkpoints that the bundles were exported from, and a sentence for each that is another."""
    files: dict[str, Path | bytes] = {}
    notes = []
    for role, bundle in bundles.items():
        sources = {name: folder / role / name for name in CHECKPOINT_FILES} if folder else {}
        if not sources or not all(path.is_file() for path in sources.values()):
            continue
        if _is_made_from(bundle, weights=sources[WEIGHTS_FILE], record=sources[RECORD_FILE]):
            files |= {f"{role}/{name}": path for name, path in sources.items()}
        else:
            notes.append(
                f"The checkpoint {folder}/{role} is left out: the {role}'s bundle was not exported from it."
            )
    return files, notes


def _is_made_from(bundle: Bundle, *, weights: Path, record: Path) -> bool:
    """Say whether the bundle was exported from this checkpoint."""
    made_from = bundle.provenance
    if digest := made_from.get("checkpoint_sha256"):
        return bool(hash_file(weights) == digest)
    # Earlier bundles do not name the weights. Of the run only the id stays: `trashlens sync` adds the rest.
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        return False
    run, made_by = (known.get("run") or {}).get("id"), (made_from.get("run") or {}).get("id")
    return run == made_by and all(known.get(key) == made_from.get(key) for key in TRACES)


def _draw(bundles: Mapping[str, Bundle]) -> dict[str, Path | bytes]:
    """Return the card's pictures, if there is something to draw."""
    if not is_measured(bundles):
        return {}
    figures = draw_pictures(bundles)
    return {f"{IMAGES}/{name}.png": _encode(figure) for name, figure in figures.items()}


def _encode(figure: Figure) -> bytes:
    """Return the picture as PNG; from one version of matplotlib, equal pictures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def _find_obsolete(files: Files, head: Head) -> list[str]:
    """Return what we once put there and no longer belongs; what others added stays.

    A checkpoint that is not at hand today stays beside a graph that has not changed.
    """
    changes = compare(files, head)
    renewed = {*changes.added, *changes.changed}
    return [
        path
        for path in head.files
        if path.split("/")[0] in (*ROLES, IMAGES)
        and path not in files
        and (Path(path).name not in CHECKPOINT_FILES or f"{path.split('/')[0]}/{MODEL_FILE}" in renewed)
    ]
