"""The YAML files that come with the package: recipes, studies and searches, found by name."""

from importlib import resources
from pathlib import Path

from trashlens.errors import RecipeError

__all__ = ["Shelf"]


class Shelf:
    """A folder of YAML files in this package; users name them, or give a file of their own."""

    def __init__(self, kind: str, folder: str) -> None:
        """Take what one file is called, `recipe`, and the folder that holds them."""
        self.kind = kind
        self.folder = resources.files("trashlens.training") / folder

    def names(self) -> list[str]:
        """Return the names, sorted, without their endings."""
        entries = (entry.name for entry in self.folder.iterdir())
        return sorted(name.removesuffix(".yaml") for name in entries if name.endswith(".yaml"))

    def find(self, name: str) -> Path:
        """Return the path of a file, or of the shipped one with this name.

        Raises:
            RecipeError: neither exists.
        """
        if Path(name).is_file():
            return Path(name)
        shipped = name.removesuffix(".yaml")
        if shipped in self.names():
            return Path(str(self.folder / f"{shipped}.yaml"))
        raise RecipeError(
            f"There is no {self.kind} {name}. Give a YAML file or one of {', '.join(self.names())}."
        )
