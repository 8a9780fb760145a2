"""The process that runs recorded histories against other models (`sdk.testing.replay.worker`), with the plug-ins of the server that started it."""

from __future__ import annotations

import sys

from flowledger import plugins
from flowledger.sdk.testing.replay.worker import begin

if __name__ == "__main__":
    plugins.load(sys.argv[1:])
    begin()
