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
FAULTS = "tests/log/test_faults.py"
MACHINE = "tests/owner/test_machine.py"
INTAKE = "tests/owner/test_intake.py"
HEAVY = "tests/owner/test_heavy.py"
DEAD = "tests/owner/test_dead_letters.py"
RECOVERY = "tests/log/test_recovery.py"
ATTACKS = "tests/log/test_audit_attacks.py"
IDS = "tests/access/test_ids.py"
WHOLE = "tests/kernel/test_transaction.py"
EPOCHS = "tests/owner/test_epochs.py"
PUT_OFF = "tests/owner/test_put_off.py::test_an_owner_that_dies_at_any_step_loses_nothing_that_was_put_off"
PUT_OFF_RULES = "tests/owner/test_put_off_rules.py"
TURNS = "tests/owner/test_turns.py"


class Mutant(NamedTuple):
    name: str
    file: str
    #: the guard, found once in the file, and what stands there without it
    guard: str
    without: str
    killer: str
    #: it belongs to the short run
    short: bool = False
    #: its killer needs a broker
    kafka: bool = False


MUTANTS = [
    # fold rules
    Mutant("a claim counts only as the next epoch", "events/group.py", "if event.epoch != self.epoch + 1:", "if event.epoch <= self.epoch:", RULES),
    Mutant("groups of another epoch are void", "events/group.py", "found[0][1] != self._epoch or", "", RULES),
    Mutant("groups of another owner are void", "events/group.py", "or found[1][1] != self._owner:", ":", RULES),
    Mutant("a claim voids what is unfinished", "events/group.py", "self._offsets, self._keys, self._values = [record.offset], [record.key], [record.value]",
           "self._offsets, self._keys, self._values = [*self._offsets, record.offset], [*self._keys, record.key], [*self._values, record.value]", RULES),
    Mutant("a raced claim keeps the source", "events/group.py", "raced=0 <= read < self.end", "raced=False", TAKE),
    Mutant("a log without its beginning says so", "events/group.py", 'if not self.epoch:\n            raise BeginningMissing(f"record',
           'if False:\n            raise BeginningMissing(f"record', RECOVERY),
    # taking over
    Mutant("a claim is read back", "processors/recovery.py", "        # whoever's claim counts stands on the log: read on", "        return position + 1",
           SIMULATION),
    Mutant("commands are resumed behind the source", "processors/intake.py", "start, begin = source + 1,", "start, begin = max(source, 0),", INTAKE),
    Mutant("what of the topic is gone is said", "processors/intake.py", "if 0 <= source and start < begin:", "if False:", INTAKE),
    Mutant("what is unsettled goes on", "processors/machine.py", "for key in images.unsettled(state):", "for key in ():", MACHINE),
    # the owner
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
    Mutant("who steps down says so to all in flight", "processors/machine.py",
           "replies = [(reply, gone) for flight in self.flights for reply, _, _ in flight.answers]", "replies = []", LEASES),
    Mutant("a doubt ends the claim", "processors/machine.py", "        self.step_down(why)\n\n    def _settle", "        pass\n\n    def _settle", SIMULATION, True),
    Mutant("refusals wait for what they were decided on", "processors/machine.py", "            self.flights.append(flight)\n            self._settle()",
           "            self.out.append(Answer([(reply, answer) for reply, answer, _ in flight.answers]))", MACHINE),
    Mutant("groups in flight are bounded", "processors/machine.py", "if len(self.flights) >= IN_FLIGHT_MAX:", "if False:", MACHINE),
    Mutant("a group has so many commands", "processors/machine.py", "taken < most and ", "", MACHINE),
    Mutant("a group has so many events", "processors/machine.py", "len(values) < EVENTS_MAX and ", "", MACHINE),
    Mutant("a group has so many bytes", "processors/machine.py", " and flight.size < BYTES_MAX", "", MACHINE),
    Mutant("so many commands wait", "processors/machine.py", "if waiting >= self.settings.inbox_max:", "if False:", MACHINE),
    Mutant("void records of others are no fence", "processors/machine.py", "        self._shift += flight.end - (flight.expected + self._shift) - flight.count",
           "        self.step_down(Fenced('void'))\n        return", MACHINE),
    Mutant("who waits in the inbox is told of the end", "processors/machine.py",
           "replies += [(p.reply, gone) for p in waiting if p.reply is not None and p.offset < 0]", "pass", MACHINE),
    Mutant("who waits for an end is told of the owner's", "processors/machine.py", "(*self.desk.waiting.all(), *self.epochs.ended())", "self.epochs.ended()",
           MACHINE),
    Mutant("what lands after the end is nobody's", "processors/machine.py", "        flight.first, flight.end = first, end\n        if self.stopped is None:",
           "        flight.first, flight.end = first, end\n        if True:", MACHINE),
    Mutant("a gap read after the end is nobody's", "processors/machine.py",
           "        if self.stopped is not None:\n            return\n        decoder = avro.Decoder()", "        decoder = avro.Decoder()", MACHINE),
    Mutant("after a defect commands are taken one by one", "processors/machine.py", "1 if now < self._careful_to else self.settings.batch_max",
           "self.settings.batch_max", MACHINE),
    Mutant("what broke the engine is put aside", "processors/intake.py", "if record.offset in self.poison:", "if False:", DEAD),
    Mutant("a partition rests while a decision is made apart", "processors/machine.py", "if self._resting or self._apart is not None:", "if self._resting:",
           HEAVY),
    Mutant("a rejected decision is taken back", "kernel/decide.py", "            return d\n        _undone(d, counter)", "            return d", WHOLE),
    Mutant("a broken decision is taken back", "kernel/decide.py", "at = d.at\n        _undone(d, counter)", "at = d.at", WHOLE),
    Mutant("a heavy decision is taken back", "kernel/decide.py", "except (Heavy, NotAtHand):\n        _undone(d, counter)", "except (Heavy, NotAtHand):\n        pass",
           SIMULATION),
    # across partitions
    Mutant("only counted groups are confirmed", "processors/desk.py", "flight.inbound[request.sender] = request.seq\n            if kind",
           "self.sends.took({request.sender: request.seq}, self.facts.now_us)\n            if kind", SENDS, True),
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
    Mutant("confirmations are few", "processors/sends.py", "max(now, self._told.get(sender, 0) + CONFIRM_US)", "now", SENDS),
    Mutant("nobody confirms what was not sent", "kernel/handlers/records.py", "if e.seq > sent:", "if False:", SENDS),
    Mutant("what is repeated comes ever later", "processors/sends.py", "min(wait * 2, RESEND_MOST_US)", "wait", SENDS),
    Mutant("a new owner begins with what is unconfirmed", "processors/sends.py", "dict.fromkeys((to for to, _ in state.outbox), (0, RESEND_US))", "{}", SENDS),
    Mutant("numbers that were lost are filled", "processors/sends.py", "elif e.seq < before:", "elif False:", SENDS),
    Mutant("a refused send is consumed and told", "kernel/decide.py", "        _consume(d, request, rejected)\n        return d\n    except (Heavy",
           "        return rejected\n    except (Heavy", SENDS),
    Mutant("a send that breaks is consumed", "kernel/decide.py",
           "            d.record(le.Inbound(sender=request.sender, seq=request.seq))\n            if type(request.command) in",
           "            if type(request.command) in", SENDS),
    # what is put off
    Mutant("what is put off stands on the log", "kernel/decide.py", "            d.write(me, command, cause[0])", "            pass", PUT_OFF, True),
    Mutant("what is put off is taken out when it is done", "kernel/folds/ledger.py", "    if e.sender == p.meta.partition:", "    if False:", PUT_OFF),
    Mutant("what is put off is part of a checkpoint", "kernel/checkpoint.py", "            p.outbox[(p.meta.partition, int(name))] = value", "            pass", PUT_OFF),
    Mutant("what is sent later waits behind what was put off", "kernel/decide.py", "            behind or isinstance(command, c.Continue)",
           "            isinstance(command, c.Continue)", PUT_OFF_RULES),
    Mutant("nobody sends in the name of a partition to itself", "kernel/decide.py",
           "        if request.sender == state.meta.partition and (request.sender, request.seq) not in state.outbox:", "        if False:", PUT_OFF_RULES),
    Mutant("nobody confirms what a partition sent to itself", "kernel/handlers/records.py", "    if e.to == d.state.meta.partition:", "    if False:",
           PUT_OFF_RULES),
    Mutant("tenants have their turns", "processors/turns.py", "not (flow := turn[0]).items or flow.credit <= 0", "not (flow := turn[0]).items", TURNS),
    Mutant("who takes pays for it", "processors/turns.py", "flow.credit = max(flow.credit - cost, ", "flow.credit = max(flow.credit, ", TURNS),
    Mutant("a debt is bounded", "processors/turns.py", "max(flow.credit - cost, -DEBT_MAX * flow.quantum)", "flow.credit - cost", TURNS),
    Mutant("a debt outlives what waits", "processors/turns.py", "if not flow.items and flow.credit > 0:", "if not flow.items:", TURNS),
    Mutant("what came by the topic keeps its order", "processors/inbox.py", "return pending.offset == -1 and ", "return ", TURNS),
    Mutant("a crowd has bounds by tenant", "processors/inbox.py", "            if mine >= share:", "            if False:", TURNS),
    Mutant("groups are small while several tenants are about", "processors/inbox.py", "min(batch_max, SHARED_MAX)", "batch_max", TURNS),
    Mutant("who waits by turns is told of the owner's end", "processors/machine.py", "waiting = (*self.waits, ", "waiting = (*self.inbox, ", TURNS),
    Mutant("who has less than its share is let in", "processors/admission.py", "and not self._has_its_share(tenant) else wait", "and False else wait", TURNS),
    Mutant("nobody is let in at twice the wait", "processors/admission.py", "many / rate <= limit * SHARED and ", "", TURNS),
    Mutant("others have their turns beside what was put off", "processors/machine.py", "if self.waits and self._turns >= ", "if False and self._turns >= ",
           PUT_OFF_RULES),
    Mutant("what was put off and fails in the owner is given up", "processors/machine.py", "if (place := -1 - seq) in self._poison:",
           "if (place := -1 - seq) in ():", PUT_OFF_RULES),
    Mutant("what waits to be put off has so many bytes", "kernel/ledger/recording.py", "            self.bytes += weight(command)", "            pass", PUT_OFF_RULES),
    Mutant("what follows is of its sender's tenant", "kernel/decide.py", "if d.envelope is not cause[1] and d.envelope.tenant != cause[1].tenant:",
           "if False:", PUT_OFF_RULES),
    Mutant("whose turn it was begins under the next owner", "processors/machine.py", "for key in self._let_in():", "for key in ():",
           PUT_OFF_RULES),
    # requests and leases
    Mutant("an id is bound to its command", "kernel/folds/answers.py", "if known.digest and known.digest != digest(request):", "if False:", IDS),
    Mutant("ids are forgotten in time", "kernel/folds/answers.py", "return kept if kept is not None and kept.until_us > now_us else None", "return kept", IDS),
    Mutant("remembered ids have so many bytes", "kernel/folds/answers.py", "(held <= limits.ANSWERS_BYTES_MAX or len(p.answers) == 1)", "True", IDS),
    Mutant("ids of tenants are apart", "kernel/folds/answers.py", 'return f"{tenant}\\n{id}" if tenant else id', "return id", IDS),
    Mutant("jobs for one who left go back", "processors/pollers.py", "elif p.gone:\n            self._pollers", "elif False:\n            self._pollers", LEASES),
    Mutant("who was not given its jobs waits as before", "processors/pollers.py", "self._pollers.restore(p, len(self.jobs))", "pass", LEASES),
    Mutant("jobs of a refused hand-out go back", "processors/pollers.py", "            self._pollers.unwanted(self.jobs)\n        elif p.gone:",
           "            pass\n        elif p.gone:", LEASES),
    Mutant("ids are remembered", "kernel/decide.py", "id, d.facts.now_us)) is not None:", "id, d.facts.now_us)) is not None and False:",
           SIMULATION, True),
    Mutant("fence of leases", "kernel/handlers/tasks.py", "if fence and task.fence != fence:", "if False:", SIMULATION, True),
    Mutant("the source goes on", "processors/machine.py", "        self.source = source\n        if batch.values:", "        if batch.values:", SIMULATION),
    # checkpoints
    Mutant("checkpoints wait for what is in flight", "processors/machine.py",
           "            if not self.flights and self._apart is None:\n                self._write_checkpoint()",
           "            self._write_checkpoint()", SIMULATION, True),
    Mutant("checkpoints are numbered", "processors/checkpoints.py", "self._number += 1", "self._number = 1", RECOVERY),
    Mutant("late checkpoints are passed over", "processors/recovery.py", "if tag <= newest:", "if False:", RECOVERY),
    Mutant("a checkpoint without its mark is none", "processors/recovery.py", "pending.append((tag, record))\n                continue",
           "live[record.key] = record.value\n                continue", RECOVERY),
    Mutant("records of a checkpoint have digests", "processors/recovery.py", "if mark.digest and mark.digest != found.digest():", "if False:", RECOVERY),
    Mutant("records of a checkpoint are counted", "processors/recovery.py", "if mark.live != len(found.digests):", "if False:", RECOVERY),
    Mutant("a mark goes with the log", "processors/recovery.py", "elif mark.end > begin and not await _goes_with(log, partition, mark):", "elif False:", RECOVERY),
    Mutant("a log that ends before its checkpoint is not served", "processors/recovery.py", "elif mark.end > end:", "elif False:", RECOVERY),
    Mutant("a checkpoint before the log's beginning is of no use", "processors/recovery.py", "elif mark.end < begin:", "elif False:", RECOVERY),
    Mutant("what is in no checkpoint must be on the log", "processors/recovery.py", "    if begin:\n        raise Records",
           "    if False:\n        raise Records",
           RECOVERY),
    Mutant("one checkpoint at a time", "processors/machine.py", "if self.stopped is None and not self.checkpoints.writing:", "if self.stopped is None:", MACHINE),
    Mutant("no checkpoint after the end", "processors/machine.py", "if self.stopped is None and not self.checkpoints.writing:",
           "if not self.checkpoints.writing:", MACHINE),
    Mutant("after one that failed a checkpoint says everything", "processors/checkpoints.py", "self._standing.stale = True", "pass", MACHINE),
    Mutant("deciding rests until a checkpoint is made", "processors/machine.py", "if self._resting or self._apart is not None:", "if self._apart is not None:", MACHINE),
    # time
    Mutant("the time is in the checkpoint", "processors/machine.py", "self.state.meta.now_us = now", "pass", SIMULATION),
    Mutant("a claim is not before the log's time", "processors/clock.py", "return max(floor_us, wall_us)", "return wall_us", CLOCK),
    Mutant("time does not go back", "processors/clock.py", "passed = max(0, mono_us - self._mono_us)", "passed = mono_us - self._mono_us", CLOCK),
    Mutant("time goes on by the monotonic clock", "processors/clock.py", "self.now_us += passed + shift", "self.now_us = max(self.now_us, wall_us)", CLOCK, True),
    Mutant("a restart goes by the monotonic clock", "processors/clock.py", "if boot and before.boot == boot and mono_us >= before.mono_us:", "if False:", CLOCK),
    Mutant("slewing is bounded", "processors/clock.py", "most = self._budget // 1_000_000", "most = 1 << 62", CLOCK),
    # the chain, and what readers may pass over
    Mutant("a group has to give its chain value", "processors/recovery.py", "if group is not None and not group.whole:", "if False:", RECOVERY),
    Mutant("no older chain behind a newer one", "events/group.py", "self._odd = event.chain < self.version", "self._odd = False", RULES),
    Mutant("records of a group have the same headers and time", "events/group.py",
           "elif shared != self._shared or record.timestamp_us != self._stamp_us:", "elif False:", ATTACKS),
    Mutant("a reader does not pass over what is gone", "processors/recovery.py", "    if position < begin:", "    if False:", RECOVERY),
    Mutant("a reader does not go on behind a lost tail", "processors/recovery.py", "    if position > end:", "    if False:", RECOVERY),
    Mutant("a head is of what is acknowledged", "processors/machine.py", "            self._heads.sealed(now)",
           "            self._heads.sealed(now)\n            self._heads.acked(flight.number, self.end + len(values), flight.chain, now)", MACHINE),
    Mutant("signatures are checked", "infra/signing.py", "except (InvalidSignature, ValueError):\n        return False",
           "except (InvalidSignature, ValueError):\n        return True", ATTACKS),
    # the logs
    Mutant("nothing is written behind a conflict", "infra/log_memory.py", "self._blocked[key] = conflict", "pass", PORT),
    Mutant("nothing is written behind a doubt", "infra/log_memory.py", "self._blocked[key] = doubt", "pass", FAULTS),
    Mutant("SQLite compares", "infra/sqlite_writing.py", "if item.expected_end is not None and item.expected_end != first:", "if False:", PORT),
    Mutant("SQLite writes nothing behind a conflict", "infra/sqlite_writing.py", "if item.expected_end is not None and key in blocked:", "if False:", PORT),
    Mutant("SQLite writes nothing behind a doubt", "infra/sqlite_writing.py", "found[item.key] = doubt", "pass", FAULTS),
    Mutant("texts of a caller have a width", "kernel/access/gate.py", "if wide is not None:", "if False:",
           "tests/access/test_widths.py"),
    Mutant("Kafka writes nothing behind a doubt", "infra/kafka_writing.py", "self._blocked[writer.key] = error", "pass", FAULTS, kafka=True),
]  # fmt: skip


def copy_to(folder: Path) -> None:
    skipped = shutil.ignore_patterns(
        ".venv", ".git", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".flowledger", "web"
    )
    shutil.copytree(ROOT, folder, symlinks=True, ignore=skipped)


def killed(folder: Path, killer: str, runs: int, timeout_s: float, kafka: bool = False) -> bool:
    """Whether the test notices (a hang counts)."""
    env = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "MACHINE_RUNS": str(runs),
        "SIM_RUNS": str(runs),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow" if kafka else "not kafka and not slow",
        "--no-header",
        killer,
    ]
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
        for killer, kafka in dict.fromkeys((m.killer, m.kafka) for m in chosen):
            if killed(folder, killer, 3, 300, kafka):
                raise SystemExit(f"{killer} fails without any mutant")
        for m in chosen:
            path = folder / m.file
            text = path.read_text()
            if text.count(m.guard) != 1:
                raise SystemExit(f"'{m.name}': expected its guard once in {m.file}, found it {text.count(m.guard)} times")
            began = time.monotonic()
            path.write_text(text.replace(m.guard, m.without))
            try:
                died = killed(folder, m.killer, runs, 600, m.kafka)
            finally:
                path.write_text(text)
            print(f"{'killed' if died else 'SURVIVED':9} {m.name:55} by {m.killer}  {time.monotonic() - began:.1f} s", flush=True)
            if not died:
                survivors.append(m.name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants were killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
