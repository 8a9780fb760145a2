"""One owner process for the tests on Kafka: python owner_process.py BOOTSTRAP PREFIX NAME. SIGTERM: it leaves in order."""

import asyncio
import logging
import os
import signal
import sys

import structlog

from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.engine import Engine
from flowledger.processors.log import LogError
from flowledger.processors.owner import Settings
from flowledger.processors.settings import BATCH_MAX


async def main() -> None:
    bootstrap, prefix, name = sys.argv[1:4]
    levels = structlog.make_filtering_bound_logger(logging.INFO)
    structlog.configure(wrapper_class=levels, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    log = KafkaLog(bootstrap, prefix=prefix, timeout_s=5.0, session_s=2.0)
    batch_max = int(os.environ.get("OWNER_BATCH_MAX", BATCH_MAX))
    engine = Engine(log, partitions=3, settings=Settings(node=name, checkpoint_changes=300, checkpoint_s=2.0, batch_max=batch_max))
    while True:
        try:
            await engine.start()
            break
        except LogError as error:  # the broker is down at the moment; a service manager would start us again
            structlog.get_logger("owner_process").warning("not started", why=str(error))
            await engine.kill()
            await asyncio.sleep(0.3)
    left = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, left.set)
    print("ready", flush=True)
    await left.wait()
    await engine.stop()


asyncio.run(main())
