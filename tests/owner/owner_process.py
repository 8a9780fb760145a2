"""One owner process for the fault tests: python owner_process.py BOOTSTRAP PREFIX NAME. Runs until it is killed."""

import asyncio
import logging
import sys

import structlog

from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.engine import Engine
from flowledger.processors.owner import Settings


async def main() -> None:
    bootstrap, prefix, name = sys.argv[1:4]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    engine = Engine(KafkaLog(bootstrap, prefix=prefix), partitions=3, settings=Settings(node=name, checkpoint_changes=300, checkpoint_s=2.0))
    await engine.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
