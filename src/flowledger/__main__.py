"""The command `flowledger`, and the one place where adapters are wired to ports: `build`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowledger.infra.settings import Settings
    from flowledger.system import System


def build(settings: Settings) -> System:
    """All that a process of these roles is made of, not started yet. See `flowledger.system`."""
    from flowledger.system import System

    return System(settings)


def main() -> None:
    if not __debug__:
        raise SystemExit("flowledger: assertions guard the ledger; start python without -O")
    try:
        from flowledger.infra.cli.main import run

        run()
    except ModuleNotFoundError as e:
        if (e.name or "").partition(".")[0] == "flowledger":
            raise
        raise SystemExit(
            f"flowledger: the command line needs the package {e.name}, which isn't installed; it comes with the extra `server`:\n"
            "  pip install 'flowledger[server]'"
        ) from None


if __name__ == "__main__":
    main()
