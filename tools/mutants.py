"""Each guard of the log protocol, switched off one at a time: a test must notice.

    python tools/mutants.py            the short run: the first of each kind, a few seeds
    python tools/mutants.py --all      all of them, with more seeds
    python tools/mutants.py NAME ...   these

It works on a copy of the tree. A mutant that no test kills is an error: exit 1. What each line says is tried first on the tree as it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SIMULATION = "tests/owner/test_machine_simulation.py::test_with_several_live_owners_each_instance_runs_once"
ENGINE = "tests/owner/test_simulation.py"
RULES = "tests/owner/test_protocol_guards.py"
SENDS = "tests/owner/test_sends.py"
CLOCK = "tests/owner/test_clock.py"
TAKE = "tests/owner/test_claim_races.py"
LEASES = "tests/owner/test_leases.py"
PORT = "tests/log/test_contract.py"
EPOCHS = "tests/owner/test_epochs.py"


class Mutant(NamedTuple):
    name: str
    file: str
    #: the guard, found once in the file, and what stands there without it
    guard: str
    without: str
    killer: str
    #: it belongs to the short run
    short: bool = False


MUTANTS = [
    Mutant("gap check", "processors/machine.py", "if flight.first != expected or flight.end != expected + flight.count:", "if False:", SIMULATION, True),
    Mutant("claims in a gap", "processors/machine.py", "if event.epoch == self.claim.epoch + 1:", "if False:", SIMULATION),
    Mutant("answers only after the acknowledgement", "processors/machine.py", "        self.flights.append(flight)\n        self.out.append(Append(",
           "        self.out.append(Answer([(reply, answer) for reply, answer, _ in flight.answers]))\n        flight.answers.clear()\n"
           "        self.flights.append(flight)\n        self.out.append(Append(", SIMULATION, True),
    Mutant("sends only after the acknowledgement", "processors/machine.py", "        self.flights.append(flight)\n        self.out.append(Append(",
           "        self.out += self.sends.landed(flight.sends, now)\n        self.flights.append(flight)\n        self.out.append(Append(", SIMULATION, True),
    Mutant("what is behind the acknowledgement is not sent again", "processors/sends.py", "self._out.get(to, 0)\n            left",
           "self._state.meta.sent.get(to, 0)\n            left", SIMULATION),
    Mutant("sends are repeated", "processors/sends.py", "if at > now:\n                continue\n            first",
           "if True:\n                continue\n            first", SIMULATION),
    Mutant("only counted groups are confirmed", "processors/desk.py", "b.flight.inbound[request.sender] = request.seq\n                if type",
           "self.sends.took({request.sender: request.seq}, self.facts.now_us)\n                if type", SENDS, True),
    Mutant("a send is confirmed by its receiver", "processors/sends.py", "return [self._send(to, some) for to, some in by_partition.items()]",
           "[self._state.outbox.pop((to, seq), None) for to, some in by_partition.items() for seq, _ in some]\n"
           "        return [self._send(to, some) for to, some in by_partition.items()]", SIMULATION),
    Mutant("a request waits for its epoch", "processors/epochs.py", "if request.epoch > self._state.meta.definitions and sender != 0:", "if False:", EPOCHS),
    Mutant("what waits is not consumed", "processors/machine.py", "source = max(source, min(pending.offset, epochs.floor))",
           "source = max(source, pending.offset)", EPOCHS),
    Mutant("running instances are counted everywhere", "kernel/handlers/removal.py", "running=running(d.state, found.key)", "running=[]", EPOCHS),
    Mutant("no send is taken behind a gap", "kernel/decide.py", "if request.seq != taken + 1:", "if request.seq <= taken:", SENDS, True),
    Mutant("no send is taken twice", "kernel/decide.py", "if request.seq != taken + 1:", "if request.seq > taken + 1:", SIMULATION),
    Mutant("the receiver says how far it is", "processors/desk.py", "self.sends.asked(request.sender, self.facts.now_us)", "pass", SIMULATION),
    Mutant("ids are remembered", "kernel/decide.py", "if known is not None:\n            return _again", "if False:\n            return _again",
           SIMULATION, True),
    Mutant("fence of leases", "kernel/handlers/tasks.py", "if fence and task.fence != fence:", "if False:", SIMULATION, True),
    Mutant("the source goes on", "processors/machine.py", "        self.source = source\n        if batch.values:", "        if batch.values:", SIMULATION),
    Mutant("commands are resumed behind the source", "processors/intake.py", "start, begin = source + 1,", "start, begin = max(source, 0),", ENGINE),
    Mutant("checkpoints wait for what is in flight", "processors/machine.py",
           "            if not self.flights and self._apart is None:\n                self._write_checkpoint()",
           "            self._write_checkpoint()", SIMULATION, True),
    Mutant("checkpoints are numbered", "processors/checkpoints.py", "self._number += 1", "self._number = 1", SIMULATION),
    Mutant("late checkpoints are passed over", "processors/recovery.py", "if tag <= newest:", "if False:", SIMULATION),
    Mutant("the time is in the checkpoint", "processors/machine.py", "self.state.meta.now_us = now", "pass", SIMULATION),
    Mutant("a claim is not before the log's time", "processors/clock.py", "return max(floor_us, wall_us)", "return wall_us", CLOCK),
    Mutant("time does not go back", "processors/clock.py", "passed = max(0, mono_us - self._mono_us)", "passed = mono_us - self._mono_us", CLOCK),
    Mutant("time goes on by the monotonic clock", "processors/clock.py", "self.now_us += passed + shift", "self.now_us = max(self.now_us, wall_us)", CLOCK, True),
    Mutant("a restart goes by the monotonic clock", "processors/clock.py", "if boot and before.boot == boot and mono_us >= before.mono_us:", "if False:", CLOCK),
    Mutant("slewing is bounded", "processors/clock.py", "most = self._budget // 1_000_000", "most = 1 << 62", CLOCK),
    Mutant("a claim counts only as the next epoch", "events/group.py", "if event.epoch != self.epoch + 1:", "if event.epoch <= self.epoch:", RULES),
    Mutant("groups of another epoch are void", "events/group.py", "found[0][1] != self._epoch or", "", RULES),
    Mutant("groups of another owner are void", "events/group.py", "or found[1][1] != self._owner:", ":", RULES),
    Mutant("a claim voids what is unfinished", "events/group.py", "self._offsets, self._keys, self._values = [record.offset], [record.key], [record.value]",
           "self._offsets, self._keys, self._values = [*self._offsets, record.offset], [*self._keys, record.key], [*self._values, record.value]", RULES),
    Mutant("a raced claim keeps the source", "events/group.py", "raced=0 <= read < self.end", "raced=False", TAKE),
    Mutant("who steps down says so to all in flight", "processors/machine.py",
           "replies = [(reply, gone) for flight in self.flights for reply, _, _ in flight.answers]", "replies = []", LEASES),
    Mutant("a doubt ends the claim", "processors/machine.py", "        self.step_down(why)\n\n    def _settle", "        pass\n\n    def _settle", SIMULATION, True),
    Mutant("nothing is written behind a conflict", "infra/log_memory.py", "self._blocked[key] = conflict", "pass", PORT),
    Mutant("nothing is written behind a doubt", "infra/log_memory.py", "self._blocked[key] = doubt", "pass", PORT),
]  # fmt: skip


def copy_to(folder: Path) -> None:
    skipped = shutil.ignore_patterns(".venv", ".git", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "web")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=skipped)


def killed(folder: Path, killer: str, runs: int, timeout_s: float) -> bool:
    """Whether the test notices (a hang counts)."""
    env = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "MACHINE_RUNS": str(runs),
        "SIM_RUNS": str(runs),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not kafka and not slow", "--no-header", killer]
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, 1):
        raise SystemExit(f"{killer} could not be run:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return done.returncode == 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--runs", type=int, default=0, help="seeds for each mutant")
    parser.add_argument("--list", action="store_true")
    told = parser.parse_args(arguments)
    if told.list:
        for m in MUTANTS:
            print(f"{m.name:55} {m.file:28} {m.killer}")
        return 0
    chosen = [m for m in MUTANTS if (m.name in told.names if told.names else told.all or m.short)]
    if missing := set(told.names) - {m.name for m in MUTANTS}:
        raise SystemExit(f"no mutant {', '.join(map(repr, sorted(missing)))}; --list shows them")
    runs = told.runs or (60 if told.all or told.names else 25)
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as temp:
        folder = Path(temp) / "tree"
        copy_to(folder)
        for killer in dict.fromkeys(m.killer for m in chosen):
            if killed(folder, killer, 3, 300):
                raise SystemExit(f"{killer} fails without any mutant")
        for m in chosen:
            path = folder / m.file
            text = path.read_text()
            if text.count(m.guard) != 1:
                raise SystemExit(f"'{m.name}': expected its guard once in {m.file}, found it {text.count(m.guard)} times")
            began = time.monotonic()
            path.write_text(text.replace(m.guard, m.without))
            try:
                died = killed(folder, m.killer, runs, 600)
            finally:
                path.write_text(text)
            print(f"{'killed' if died else 'SURVIVED':9} {m.name:55} by {m.killer}  {time.monotonic() - began:.1f} s", flush=True)
            if not died:
                survivors.append(m.name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants were killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
