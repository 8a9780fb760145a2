"""A process that holds owners of partitions and nothing else: no HTTP, no projector, nothing that could starve a heartbeat.

Started by `flowledger.supervise` as `python -m flowledger.owners` (`flowledger.child`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import msgspec

from flowledger import child, collector
from flowledger.child import Order

#: seconds between attempts to reach a log that is away
AGAIN_S = (0.2, 3.0)


async def serve(order: Order, stop: asyncio.Event) -> None:
    """Until `stop` is set."""
    from flowledger import plugins
    from flowledger.connectors import check
    from flowledger.events.wire import NAMES
    from flowledger.infra import javascript
    from flowledger.infra.heads import signing_of
    from flowledger.infra.observer import Observer, gauges
    from flowledger.infra.settings import Settings
    from flowledger.infra.telemetry import Telemetry
    from flowledger.logs import log
    from flowledger.processors import owner
    from flowledger.processors.engine import Engine
    from flowledger.processors.link.host import Host
    from flowledger.processors.link.lag import LoopLag
    from flowledger.processors.log import LogError
    from flowledger.stores import make_log, vault_of

    settings = Settings.model_validate(order.settings)
    plugins.load(settings.plugins)
    telemetry = Telemetry.of(settings)
    observer = Observer(telemetry.metrics, {cls.__name__: name for cls, name in NAMES.items()}, telemetry.tracer)
    told = owner.Settings(
        batch_max=settings.batch_max, instances_max=settings.instances_max, node=settings.node,
        signing=signing_of(settings, telemetry.metrics.anchored), answers_us=int(settings.ids_hours * 3_600_000_000),
        javascript=javascript.run, look=check.findings, hold=settings.hold, stack_traces=settings.keeps_stack_traces,
        vault=vault_of(settings), retry=settings.default_retry, attempt_ms=settings.default_timeout_ms,
        state_validation=settings.state_validation, snapshots=settings.snapshots,
    )  # fmt: skip
    engine = Engine(make_log(settings), partitions=settings.partitions, settings=told, observer=observer)
    telemetry.metrics.on_scrape(gauges(engine, process=order.name))
    lag = LoopLag(telemetry.metrics.loop_lag.labels("owner", order.name).observe)
    lag.start()
    starting = ["the owners are starting"]

    def health() -> dict[str, Any]:
        found = engine.health()
        if starting:
            found["reasons"], found["ready"] = starting + [r for r in found["reasons"] if "assigned" not in r], False
        return {**found, "lag_s": round(lag.recent(), 4), "pid": os.getpid(), "log_partitions": engine.log.partitions}

    host = Host(engine, Path(order.socket), health, lambda: msgspec.json.encode(telemetry.metrics.shipped()))
    await host.start()

    async def begin() -> None:
        """A log that is away is waited for, as the projector waits for its database."""
        delay = AGAIN_S[0]
        while True:
            try:
                await engine.start()
                starting.clear()
                collector.rest()
                return
            except (LogError, OSError) as e:
                starting[:] = [f"the log can't be had: {e}. It is tried again every few seconds"]
                log("owners").warning("the log can't be had", why=str(e), again_s=delay)
            except Exception as e:  # noqa: BLE001 - it is told by health and tried again
                starting[:] = [f"the owners can't start: {type(e).__name__}: {e}"]
                log("owners").error("the owners can't start", exc_info=e)
            await engine.kill()
            await asyncio.sleep(delay)
            delay = min(delay * 2, AGAIN_S[1])

    beginning = asyncio.create_task(begin())
    await stop.wait()
    host.closing = True
    beginning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beginning
    await engine.stop()
    await host.close()
    lag.stop()
    telemetry.close()


if __name__ == "__main__":
    child.main(serve)
