"""The messages of the gateway protocol, as the package `pyzeebe` ships them.

The protocol file itself is not ours to ship (Camunda License 1.0); stubs made from it carry no restriction. Only the module of messages
is loaded, not the package around it: that would bring a whole second gRPC library into the server.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

_NAME = "pyzeebe.proto.gateway_pb2"


def load() -> ModuleType:
    """Raises: ImportError, when `pyzeebe` isn't installed."""
    found = sys.modules.get(_NAME)
    if found is not None:
        return found
    package = importlib.util.find_spec("pyzeebe")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the Zeebe protocol needs the package pyzeebe: pip install 'flowledger[server]' or 'flowledger[zeebe]'")
    path = Path(next(iter(package.submodule_search_locations))) / "proto" / "gateway_pb2.py"
    spec = importlib.util.spec_from_file_location(_NAME, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"expected the messages of the Zeebe protocol in {path.name} of the package pyzeebe")
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # protobuf notes that the stubs were made by an older release
        spec.loader.exec_module(module)
    # Under its own name, so that a pyzeebe imported later into this process shares the messages.
    sys.modules[_NAME] = module
    return module
