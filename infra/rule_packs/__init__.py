"""Rule packs that are shipped: files beside this one, to be deployed as they are, or copied and changed."""

from __future__ import annotations

from importlib import resources

_END = ".rules.yaml"


def names() -> list[str]:
    return sorted(f.name.removesuffix(_END) for f in resources.files(__name__).iterdir() if f.name.endswith(_END))


def text(name: str) -> str:
    """Raises: KeyError."""
    if name not in names():
        raise KeyError(name)
    return (resources.files(__name__) / f"{name}{_END}").read_text("utf-8")


def file_name(name: str) -> str:
    return f"{name}{_END}"
