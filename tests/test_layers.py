"""Imports point one way, and serving needs none of the train packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import trashlens

PACKAGE = Path(trashlens.__file__).parent
TRAIN_ONLY = {
    "accelerate",
    "datasets",
    "onnx",
    "optuna",
    "ray",
    "sklearn",
    "timm",
    "torch",
    "torch_pruning",
    "torchvision",
    "wandb",
}

MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "given": set(),
    "hub_token": set(),
    "image": {"errors", "image"},
    "bundle": {"errors", "files", "image"},
    "machine": set(),
    "providers": {"errors"},
    "published": set(),
    "checkpoint_files": set(),
    "classifier": {"errors", "image", "bundle", "machine", "providers"},
    "comparison": {"image", "classifier"},
    "batch": {"errors", "bundle", "classifier", "comparison", "providers"},
    "table": {"classifier", "comparison"},
    "benchmark": {"errors", "image", "bundle", "machine", "classifier", "comparison", "benchmark"},
    "records": {"bundle"},
    "scoreboard": {"bundle", "records", "scoreboard"},
    "hub": {
        *(
            "errors",
            "files",
            "bundle",
            "checkpoint_files",
            "hub_token",
            "machine",
            "published",
            "records",
        ),
        *("scoreboard", "hub"),
    },
    "lineup": {"errors", "bundle", "classifier", "machine", "providers"},
    "server": {
        "errors",
        "files",
        "given",
        "hub_token",
        "image",
        "classifier",
        "comparison",
        "lineup",
        "machine",
        "providers",
        "table",
        "server",
    },
    "ui": {
        "errors",
        "files",
        "given",
        "image",
        "bundle",
        "classifier",
        "comparison",
        "lineup",
        "records",
        "table",
        "server",
        "ui",
    },
    "training.data": {"errors", "files", "given", "image", "training.data"},
    "training.parts": {"errors"},
    "training.networks": {"errors", "training.parts", "training.widths"},
    "training.widths": set(),
    "training.objectives": {"training.objectives"},
    "training.evaluate": {"errors", "training.evaluate"},
    "training.tracking": {
        *("errors", "files", "image", "bundle", "checkpoint_files", "classifier", "published"),
        *(f"training.{n}" for n in ("checkpoint", "evaluate", "tracking")),
    },
    "training.shipped": {"errors"},
    "training.recipe": {
        *("errors", "image"),
        *(f"training.{n}" for n in ("data", "networks", "objectives", "shipped")),
    },
    "training.checkpoint": {
        *("errors", "files", "image", "bundle", "checkpoint_files", "machine", "training.networks"),
    },
    "training.fit": {
        *("errors", "files", "image", "bundle", "training.fit"),
        *(f"training.{n}" for n in ("checkpoint", "class_maps", "data", "evaluate", "networks")),
        *(f"training.{n}" for n in ("objectives", "recipe", "tracking")),
    },
    "training.export": {
        *("errors", "files", "bundle", "classifier"),
        *(f"training.{n}" for n in ("checkpoint", "class_maps", "data", "evaluate", "graph")),
    },
    "training.graph": set(),
    "training.class_maps": {"errors", "bundle", "classifier"},
    "training.copies": {
        *("errors", "bundle", "classifier"),
        *(f"training.{n}" for n in ("class_maps", "data", "export", "graph")),
    },
    "training.formats": {
        *("errors", "files", "image", "bundle", "checkpoint_files", "classifier"),
        *(f"training.{n}" for n in ("class_maps", "data", "formats", "rebuild")),
    },
    "training.renewal": {"errors", "bundle", *(f"training.{n}" for n in ("class_maps", "unrelated"))},
    "commands": set(),
    "training.pictures": {
        *("image", "classifier", "comparison", "scoreboard"),
        *(f"training.{n}" for n in ("data", "evaluate", "pictures")),
    },
    "training.pruning": {
        *("errors", "files", "bundle", "classifier", "machine", "benchmark", "training.pruning"),
        *(f"training.{n}" for n in ("checkpoint", "class_maps", "data", "parts", "rebuild")),
    },
    "training.rebuild": {
        *("errors", "bundle"),
        *(f"training.{n}" for n in ("networks", "parts", "widths")),
    },
    "training.regroup": {"files", "image", "training.data", "training.networks"},
    "training.unrelated": {"errors", "image", "classifier", "comparison", "training.unrelated"},
    "training.study": {
        *("errors", "files", "image", "bundle", "classifier", "machine", "scoreboard", "benchmark"),
        *(f"training.{n}" for n in ("checkpoint", "data", "evaluate", "export", "fit", "graph")),
        *(f"training.{n}" for n in ("networks", "parts", "recipe", "shipped", "study", "untrained")),
    },
    "training.search": {
        *("errors", "files", "classifier", "machine", "scoreboard", "benchmark"),
        *(f"training.{n}" for n in ("checkpoint", "data", "fit", "recipe", "search", "shipped")),
        *(f"training.{n}" for n in ("study", "untrained")),
    },
    "training.untrained": {
        *("image", "bundle", "classifier"),
        *(f"training.{n}" for n in ("graph", "networks")),
    },
    "training.robustness": {
        *("errors", "image", "bundle", "classifier", "scoreboard"),
        *(f"training.{n}" for n in ("data", "evaluate", "pictures", "robustness")),
    },
    "training.cross": {
        *("errors", "image", "bundle", "classifier", "scoreboard"),
        *(f"training.{n}" for n in ("checkpoint", "cross", "evaluate")),
    },
    "training.ordinary": {"errors", "image", "bundle", "training.networks"},
    "training.report": {
        *("errors", "image", "bundle", "classifier", "comparison"),
        *("machine", "scoreboard", "benchmark"),
        *(f"training.{n}" for n in ("data", "evaluate", "tracking", "unrelated")),
    },
}
"""By room: the rooms it may import from. `__init__`, `__main__` and `commands` may import anything."""


def imports_of(path: Path) -> set[str]:
    """Return the full names of all modules imported anywhere in a file, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
    return names


def room_of(name: str) -> str:
    """Return the room a dotted module name below the package lies in."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "training" else parts[0]


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p.name not in ("__init__.py", "__main__.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    room = room_of(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    inside = {
        name.removeprefix("trashlens.") for name in imports_of(path) if name.startswith("trashlens.")
    }
    assert room == "commands" or {room_of(name) for name in inside} <= MAY_IMPORT[room]


def test_every_room_is_listed() -> None:
    rooms = {room_of(".".join(path.relative_to(PACKAGE).with_suffix("").parts)) for path in modules()}
    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("package", "only"),
    [
        ("wandb", "training/tracking/"),
        ("gradio", "ui/"),
        ("gradio_client", ("hub/checking.py", "ui/page.py")),
        ("huggingface_hub", ("hub/", "bundle.py", "server/dataset.py", "training/data/source.py")),
    ],
)
def test_a_service_is_known_to_these_places_only(package: str, only: str | tuple[str, ...]) -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(name.split(".")[0] == package for name in imports_of(path))
    }
    assert users
    assert all(user.startswith(only) for user in users)


@pytest.mark.parametrize(
    "statement",
    [
        "import app",
        "import trashlens.classifier",
        "import trashlens.batch",
        "import trashlens.ui.page",
        "import trashlens.__main__",
    ],
)
def test_serving_loads_no_train_package(statement: str) -> None:
    code = f"{statement}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parents[1]
    )
    assert not TRAIN_ONLY & set(result.stdout.split())


def test_every_module_says_what_it_exports() -> None:
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        targets = {
            t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if hasattr(t, "id")
        }
        assert "__all__" in targets, path


def test_the_public_names_are_these() -> None:
    assert trashlens.__all__ == [
        "Bundle",
        "Classifier",
        "Comparison",
        "Prediction",
        "Preprocess",
        "TrashlensError",
        "compare",
        "decode_image",
        "load_bundles",
        "load_classifiers",
    ]
    assert all(hasattr(trashlens, name) for name in trashlens.__all__)
