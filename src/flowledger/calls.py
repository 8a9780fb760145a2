"""A process that works on the jobs of connectors and does nothing else.

Started by `flowledger.supervise` as `python -m flowledger.calls` (`flowledger.child`). It gets its jobs from the owners of this machine over their
sockets; where there are none, through the log. Whoever connects to its own socket gets its figures.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import msgspec

from flowledger import child
from flowledger.child import Order

#: seconds until what ended is begun again
AGAIN_S = 1.0


async def serve(order: Order, stop: asyncio.Event) -> None:
    """Until `stop` is set."""
    from flowledger import plugins
    from flowledger.connectors.serve import Connectors
    from flowledger.connectors.webhooks.serve import Webhooks
    from flowledger.infra.settings import Settings
    from flowledger.infra.telemetry import Telemetry
    from flowledger.logs import log
    from flowledger.processors.link.lag import LoopLag

    settings = Settings.model_validate(order.settings)
    plugins.load(settings.plugins)
    telemetry = Telemetry.of(settings)
    lag = LoopLag(telemetry.metrics.loop_lag.labels("connectors", order.name).observe)
    lag.start()
    path = Path(order.socket)
    await asyncio.to_thread(path.unlink, missing_ok=True)

    async def figures(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(msgspec.json.encode(telemetry.metrics.shipped()))
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(figures, path)
    async with contextlib.AsyncExitStack() as stack:
        client = await _client(settings, stack, stop)
        work = {
            asyncio.create_task(Connectors(client, settings, telemetry).run(), name="connectors"),
            asyncio.create_task(Webhooks(client, settings).run(), name="webhooks"),
        }
        stopping = asyncio.create_task(stop.wait())
        ended, _ = await asyncio.wait({*work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended & work:
            if not stop.is_set():
                log("connectors").error(f"the {task.get_name()} have ended", exc_info=task.exception())
                task.result()
        for task in {*work, stopping}:
            task.cancel()
        await asyncio.wait({*work, stopping})
    server.close()
    await asyncio.to_thread(path.unlink, missing_ok=True)
    lag.stop()
    telemetry.close()


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _client(settings: Any, stack: contextlib.AsyncExitStack, stop: asyncio.Event) -> Any:
    """Of the owners on this machine; else of those elsewhere, by the log."""
    from flowledger.connectors.direct import Looking
    from flowledger.logs import log
    from flowledger.processors.engine import Engine
    from flowledger.processors.link.client import LinkClient
    from flowledger.processors.log import LogError
    from flowledger.stores import make_log
    from flowledger.supervise import link_folder, owner_count

    folder = link_folder(settings)
    if "owner" in settings.roles:
        paths = [folder / f"owner-{index}.sock" for index in range(owner_count(settings))]
    else:
        paths = sorted(folder.glob("owner-*.sock")) if folder.is_dir() else []
    if paths:
        log_ = make_log(settings, readonly=not settings.kafka)
        stack.push_async_callback(log_.close)
        link = LinkClient(paths, log_, settings.partitions)
        stack.push_async_callback(link.stop)
        link.start()
        opening = asyncio.create_task(_open(link))
        stack.callback(opening.cancel)
        return link
    while True:
        engine = Engine(make_log(settings), partitions=settings.partitions, owns=False)
        try:
            await engine.start()
            stack.push_async_callback(engine.stop)
            return Looking(engine)
        except (LogError, OSError) as e:
            log("connectors").warning("the log can't be had; it is waited for", why=str(e))
            await engine.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S):
                await stop.wait()
            return Looking(engine)


async def _open(link: Any) -> None:
    """This process's own view of the log, for who reads events."""
    from flowledger.logs import log
    from flowledger.processors.log import LogError

    while True:
        try:
            await link.open()
            return
        except (LogError, OSError) as e:
            log("connectors").warning("the log can't be had; it is waited for", why=str(e))
        await asyncio.sleep(AGAIN_S)


if __name__ == "__main__":
    child.main(serve)
