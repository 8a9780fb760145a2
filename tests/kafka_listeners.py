"""A broker of the tests' own with several listeners, each with a protocol of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def told(folder: Path, listeners: Mapping[str, tuple[int, str]], controller: int) -> dict[str, object]:
    """Its settings for them (name -> port, protocol); the first is for brokers among themselves. `folder`: the broker's, where its ports are noted."""
    own, (port, _) = next(iter(listeners.items()))
    (folder / "broker.json").write_text(f'{{"port": {port}, "controller": {controller}}}')
    ports = {name: port for name, (port, _) in listeners.items()}
    return {
        "listeners": ",".join(f"{n}://127.0.0.1:{p}" for n, p in {**ports, "CONTROLLER": controller}.items()),
        "advertised.listeners": ",".join(f"{n}://127.0.0.1:{p}" for n, p in ports.items()),
        "listener.security.protocol.map": ",".join(
            ["CONTROLLER:PLAINTEXT", *(f"{n}:{protocol}" for n, (_, protocol) in listeners.items())]
        ),
        "inter.broker.listener.name": own,
    }
