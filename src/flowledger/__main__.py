"""The command `flowledger`."""

from __future__ import annotations


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
