"""Times, durations, cycles and cron texts as tables: what they mean, and what is refused."""

from datetime import UTC, datetime

import pytest

from flowledger.kernel import times

NOW = "2026-01-05T15:37:00Z"  # a Monday


def text(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S").removesuffix(":00")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-02-01T10:00:00Z", "2026-02-01T10:00"),
        ("2026-02-01T10:00:00z", "2026-02-01T10:00"),
        ("2026-02-01t10:00:00", "2026-02-01T10:00"),
        ("2026-02-01T10:00", "2026-02-01T10:00"),
        ("2026-02-01T10", "2026-02-01T10:00"),
        ("2026-02-01", "2026-02-01T00:00"),
        ("2026-02-01T24:00:00Z", "2026-02-02T00:00"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00"),
        ("2026-02-01T10:00:00+01:00", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00+0100", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00+01", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00-05:30", "2026-02-01T15:30"),
        ("2026-02-01T10:00:00.123456789Z", "2026-02-01T10:00"),
        ("2026-02-01T10:00:00,5Z", "2026-02-01T10:00"),
        ("2026-02-01T10:30,5Z", "2026-02-01T10:30:30"),
        ("2026-02-01T10.5Z", "2026-02-01T10:30"),
        ("20260201T10,25+0100", "2026-02-01T09:15"),
        ("2026-02-01T23.99999999Z", "2026-02-01T23:59:59"),
        ("2026-02-01T24.0Z", "2026-02-02T00:00"),
        ("20260201T100000Z", "2026-02-01T10:00"),
        ("2026-W05-7", "2026-02-01T00:00"),
        ("2026W057T1000Z", "2026-02-01T10:00"),
        ("2026-032T10:00Z", "2026-02-01T10:00"),
        ("2026032T1000Z", "2026-02-01T10:00"),
        ("2026-02-01T10:00:00@Europe/Berlin", "2026-02-01T09:00"),
        ("2026-02-01T10:00@Europe/Berlin", "2026-02-01T09:00"),
        ("2026-07-01T10:00:00@Europe/Berlin", "2026-07-01T08:00"),
        ("2026-02-01T10:00:00@Etc/UTC", "2026-02-01T10:00"),
        ("2026-02-01T10:00:00@America/Argentina/Buenos_Aires", "2026-02-01T13:00"),
        ("2026-02-01T10:00:00@Etc/GMT+5", "2026-02-01T15:00"),
        ("2026-02-01@Europe/Berlin", "2026-01-31T23:00"),
        ("2026-02-01T10:00:00[Europe/Berlin]", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00+01:00[Europe/Berlin]", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00Z[Europe/Berlin]", "2026-02-01T10:00"),
        ("2026-02-01T10:00:00Z[!Europe/Berlin]", "2026-02-01T10:00"),
        ("2026-02-01T10:00:00-00:00[!Europe/Berlin]", "2026-02-01T10:00"),  # an offset that nobody knows, as Z
        ("2026-02-01T10:00:00+01:00[!Europe/Berlin]", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00+01:00[+01:00]", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00+01:00[Europe/Berlin][u-ca=gregory]", "2026-02-01T09:00"),
        ("2026-02-01T10:00:00Z[!u-ca=gregory]", "2026-02-01T10:00"),  # times are computed in it
        ("2026-02-01T10:00:00Z[u-ca=iso8601][u-ca=hebrew]", "2026-02-01T10:00"),
        ("2026-07-01T10:00:00+01:00[Europe/Berlin]", "2026-07-01T09:00"),  # the offset says the moment
        ("2026-03-29T02:30:00@Europe/Berlin", "2026-03-29T01:30"),  # skipped: as much later
        ("2026-10-25T02:30:00@Europe/Berlin", "2026-10-25T00:30"),  # twice: the first
    ],
)
def test_moments(written, meant):
    assert text(times.instant(written)) == meant


@pytest.mark.parametrize(
    "written",
    ["", "now", "2026-13-01", "2026-07-01T10:00+00:00[!Europe/Berlin]",
     "2026-02-30", "2026-02-01T25:00", "2026-02-01T10:60", "2026-02-01T24:00:01Z", "2026-W54-1", "2026-366", "2026-000",
     "2026-02-01T10:00@Mars/Base", "2026-02-01T10:00[Mars/Base]", "2026-02-01Z", "2026-02-01T10:00+01:00@Europe/Berlin", "0000-01-01",
     "2026-07-01T10:00:00+01:00[!Europe/Berlin]", "2026-02-01T10:00Z[!u-ca=hebrew]", "2026-02-01T10:00Z[!foo=bar]", "2026-02-01T10:00Z[!u-ca=iso8601][u-ca=hebrew]",
     "2026-02-01T10:00Z[u-ca=gregory][!u-ca=iso8601]", "2026-02-01T24.1Z", "2026-02-01T10.5:30Z", "2026-02-01T10.Z", "2026-02-01T10:00[Europe/Berlin][Europe/Paris]",
     "2026-02-01T10:00+19:00", "P1D", "10:00:00"],
)  # fmt: skip
def test_what_is_no_moment(written):
    with pytest.raises(ValueError, match=r"is no|lies outside|is not|names two|has no day|expected the Gregorian"):
        times.instant(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("PT30S", 30), ("PT0.5S", 0.5), ("PT0,5S", 0.5), ("PT1.5M", 90), ("PT0.5H", 1800), ("P1DT2H", 93600), ("P0.5D", 43200), ("P2W", 1209600),
     ("-PT5S", -5), ("+PT5S", 5), ("P0D", 0), ("PT0S", 0), ("PT36H", 129600), ("P1W1D", 691200)],
)  # fmt: skip
def test_durations(written, seconds):
    assert times.duration(written) == (0, round(seconds * 1_000_000))


def test_years_are_months():
    assert times.duration("P1Y2M3D") == (14, 3 * 86_400_000_000)


@pytest.mark.parametrize(
    "written",
    ["", "P", "PT", "P1DT", "1D", "PT1", "P1S", "P1.5DT1H", "PT1.5M1.5S", "P1.5Y", "P1.5M", "PT1e3S", "P999999999999D", "PT9223372036854775807S",
     "P99999Y", "R/PT1H"],
)  # fmt: skip
def test_what_is_no_duration(written):
    with pytest.raises(ValueError, match="is no ISO|longer than the calendar"):
        times.duration(written)


def firings(cycle: str, now: str, most: int = 5, kind: str = "cycle") -> str:
    """The first firings, each fired when it is due; a `.` behind the last."""
    found = []
    due, repeat, left = times.schedule(kind, cycle, times.instant(now), "timer")
    while due >= 0 and len(found) < most:
        found.append(text(due))
        if not repeat or left == 0:
            due = -1
            break
        try:
            due = times.next_due(repeat, due, due)
        except ValueError:
            due = -1
        left -= 1 if left > 0 else 0
    days = {f[:10] for f in found}
    return (" ".join(f[11:] if len(days) == 1 else f[2:] for f in found) + (" ." if due < 0 else "")).strip()


@pytest.mark.parametrize(
    ("cycle", "meant"),
    [
        ("R/PT1H", "16:37 17:37 18:37 19:37 20:37"),
        ("R-1/PT1H", "16:37 17:37 18:37 19:37 20:37"),
        ("R3/PT1H", "16:37 17:37 18:37 ."),
        ("R1/PT1H", "16:37 ."),
        ("R0/PT1H", "16:37 ."),
        ("R2/PT0.5H", "16:07 16:37 ."),
        # with a start: at the start and each period after it; past ones are passed over and count
        ("R3/2026-01-05T16:00:00Z/PT1H", "16:00 17:00 18:00 ."),
        ("R/2020-01-01T10:00:00Z/P1D", "26-01-06T10:00 26-01-07T10:00 26-01-08T10:00 26-01-09T10:00 26-01-10T10:00"),
        ("R4/2026-01-05T14:00:00Z/PT1H", "16:00 17:00 ."),
        ("R2/2026-01-05T14:00:00Z/PT1H", "."),
        ("R2/2026-01-05T15:37:00Z/PT1H", "15:37 16:37 ."),
        ("R0/2026-01-05T16:00:00Z/PT1H", "16:00 ."),
        ("R0/2020-01-05T16:00:00Z/PT1H", "."),
        ("R3/2026-01-05T16:00:00Z/2026-01-05T16:30:00Z", "16:00 16:30 17:00 ."),
        ("R/2026-01-05T16:00:00Z/2026-01-05T16:00:01.5Z", "16:00 16:00:01 16:00:03 16:00:04 16:00:06"),
        # with an end: counted back from it
        ("R3/PT1H/2026-01-05T20:00:00Z", "18:00 19:00 20:00 ."),
        ("R9/PT1H/2026-01-05T18:00:00Z", "16:00 17:00 18:00 ."),
        ("R/PT1H/2026-01-05T18:00:00Z", "16:00 17:00 18:00 ."),
        ("R/PT1H/2026-01-05T15:00:00Z", "."),
        ("R2/P1M/2026-03-31T00:00:00Z", "26-02-28T00:00 26-03-31T00:00 ."),
        # months count from the beginning
        ("R/2026-01-31T00:00:00Z/P1M", "26-01-31T00:00 26-02-28T00:00 26-03-31T00:00 26-04-30T00:00 26-05-31T00:00"),
        ("R3/P1M", "26-02-05T15:37 26-03-05T15:37 26-04-05T15:37 ."),
        ("R2/2024-02-29T00:00:00Z/P1Y", "."),
        ("R/2024-02-29T00:00:00Z/P1Y", "26-02-28T00:00 27-02-28T00:00 28-02-29T00:00 29-02-28T00:00 30-02-28T00:00"),
        # in a zone: days keep the local time, hours don't
        ("R/2026-03-28T10:00:00@Europe/Berlin/P1D", "26-03-28T09:00 26-03-29T08:00 26-03-30T08:00 26-03-31T08:00 26-04-01T08:00"),
        ("R3/2026-03-28T10:00:00+01:00[Europe/Berlin]/P1D", "26-03-28T09:00 26-03-29T08:00 26-03-30T08:00 ."),
        ("R3/2026-03-28T10:00:00[Europe/Berlin]/PT24H", "26-03-28T09:00 26-03-29T09:00 26-03-30T09:00 ."),
        ("R2/2026-03-01T10:00:00@Europe/Berlin/P1M", "26-03-01T09:00 26-04-01T08:00 ."),
        ("R2/2026-03-28T10:00:00@America/Port_of_Spain/P1W", "26-03-28T14:00 26-04-04T14:00 ."),
        ("R2/2026-03-28T10:00:00@Pacific/Pago_Pago/P1D", "26-03-28T21:00 26-03-29T21:00 ."),
        ("R2/P1D/2026-03-29T10:00:00@Europe/Berlin", "26-03-28T09:00 26-03-29T08:00 ."),
    ],
)  # fmt: skip
def test_cycles(cycle, meant):
    assert firings(cycle, NOW) == meant


@pytest.mark.parametrize(
    "cycle",
    ["R", "R/", "R3", "R/PT0S", "R/P0D", "R/-PT1H", "R-2/PT1H", "R3/2026-01-05/2026-01-04", "R/2026-01-05/P1D/2026-02-01", "R/PT1H/PT2H", "R/later/PT1H",
     "R99999999999999999999999999/PT1H", "every day", "R/P99999999999D"],
)  # fmt: skip
def test_what_is_no_cycle(cycle):
    assert times.problem("cycle", cycle)


def test_a_long_stop_fires_once():
    due, repeat, _ = times.cycle("R/PT1H", times.instant(NOW))
    assert text(times.next_due(repeat, due, times.instant("2026-01-09T10:00:00Z"))) == "2026-01-09T10:37"
    due, repeat, _ = times.cycle("R/2026-01-05T16:00:00Z/PT1H", times.instant(NOW))
    assert text(times.next_due(repeat, due, times.instant("2026-01-09T10:10:00Z"))) == "2026-01-09T11:00"


@pytest.mark.parametrize(
    ("cron", "meant"),
    [
        ("0 9 * * MON-FRI", "26-01-06T09:00 26-01-07T09:00 26-01-08T09:00 26-01-09T09:00 26-01-12T09:00"),
        ("0 0 9 13 * FRI", "26-02-13T09:00 26-03-13T09:00 26-11-13T09:00 27-08-13T09:00 28-10-13T09:00"),  # both must fit
        ("0 9 13 * 5", "26-02-13T09:00 26-03-13T09:00 26-11-13T09:00 27-08-13T09:00 28-10-13T09:00"),
        ("*/20 * * * *", "15:40 16:00 16:20 16:40 17:00"),
        ("0 0/20 15 * * *", "26-01-05T15:40 26-01-06T15:00 26-01-06T15:20 26-01-06T15:40 26-01-07T15:00"),
        ("30 37 15 5 1 *", "26-01-05T15:37:30 27-01-05T15:37:30 28-01-05T15:37:30 29-01-05T15:37:30 30-01-05T15:37:30"),
        ("@daily", "26-01-06T00:00 26-01-07T00:00 26-01-08T00:00 26-01-09T00:00 26-01-10T00:00"),
        ("@hourly", "16:00 17:00 18:00 19:00 20:00"),
        ("@weekly", "26-01-11T00:00 26-01-18T00:00 26-01-25T00:00 26-02-01T00:00 26-02-08T00:00"),
        ("0 0 L * *", "26-01-31T00:00 26-02-28T00:00 26-03-31T00:00 26-04-30T00:00 26-05-31T00:00"),
        ("0 0 L-3 * *", "26-01-28T00:00 26-02-25T00:00 26-03-28T00:00 26-04-27T00:00 26-05-28T00:00"),
        ("0 0 LW * *", "26-01-30T00:00 26-02-27T00:00 26-03-31T00:00 26-04-30T00:00 26-05-29T00:00"),
        ("0 0 1W * *", "26-02-02T00:00 26-03-02T00:00 26-04-01T00:00 26-05-01T00:00 26-06-01T00:00"),
        ("0 0 15W * *", "26-01-15T00:00 26-02-16T00:00 26-03-16T00:00 26-04-15T00:00 26-05-15T00:00"),
        ("0 0 * * 5L", "26-01-30T00:00 26-02-27T00:00 26-03-27T00:00 26-04-24T00:00 26-05-29T00:00"),
        ("0 0 * * FRIL", "26-01-30T00:00 26-02-27T00:00 26-03-27T00:00 26-04-24T00:00 26-05-29T00:00"),
        ("0 0 * * MON#2", "26-01-12T00:00 26-02-09T00:00 26-03-09T00:00 26-04-13T00:00 26-05-11T00:00"),
        ("0 0 * * 1#5", "26-03-30T00:00 26-06-29T00:00 26-08-31T00:00 26-11-30T00:00 27-03-29T00:00"),
        ("0 0 29 2 *", "28-02-29T00:00 32-02-29T00:00 36-02-29T00:00 40-02-29T00:00 44-02-29T00:00"),
        ("0 0 * * SAT-MON", "26-01-10T00:00 26-01-11T00:00 26-01-12T00:00 26-01-17T00:00 26-01-18T00:00"),
        ("0 0 * * 6-7", "26-01-10T00:00 26-01-11T00:00 26-01-17T00:00 26-01-18T00:00 26-01-24T00:00"),
        ("0 0 1 NOV-FEB *", "26-02-01T00:00 26-11-01T00:00 26-12-01T00:00 27-01-01T00:00 27-02-01T00:00"),
        ("0 0 ? * MON", "26-01-12T00:00 26-01-19T00:00 26-01-26T00:00 26-02-02T00:00 26-02-09T00:00"),
        # seven fields are Quartz's: 1 is Sunday, the last is the year
        ("0 0 9 ? * 2-6 *", "26-01-06T09:00 26-01-07T09:00 26-01-08T09:00 26-01-09T09:00 26-01-12T09:00"),
        ("0 0 9 ? * 6L 2026-2027", "26-01-30T09:00 26-02-27T09:00 26-03-27T09:00 26-04-24T09:00 26-05-29T09:00"),
        ("0 0 9 ? * 6#3 *", "26-01-16T09:00 26-02-20T09:00 26-03-20T09:00 26-04-17T09:00 26-05-15T09:00"),
        ("0 0 0 1 1 ? 2028/2", "28-01-01T00:00 30-01-01T00:00 32-01-01T00:00 34-01-01T00:00 36-01-01T00:00"),
        ("0 0 0 1 1 ? 2027,2029", "27-01-01T00:00 29-01-01T00:00 ."),
        # and ranges may go over the end, a step may stand alone, days count back to a workday
        ("QUARTZ 0 0 22-2 * * ?", "26-01-05T22:00 26-01-05T23:00 26-01-06T00:00 26-01-06T01:00 26-01-06T02:00"),
        ("QUARTZ 0 50-10/5 15,16 * * ?", "15:50 15:55 16:00 16:05 16:10"),
        ("QUARTZ 50-10/20 37 15 * * ?", "26-01-05T15:37:10 26-01-05T15:37:50 26-01-06T15:37:10 26-01-06T15:37:50 26-01-07T15:37:10"),
        ("QUARTZ 0 /20 * * * ?", "15:40 16:00 16:20 16:40 17:00"),
        ("QUARTZ 0 0 0 29-2 * ?", "26-01-29T00:00 26-01-30T00:00 26-01-31T00:00 26-02-01T00:00 26-02-02T00:00"),
        ("QUARTZ 0 0 0 L-3W * ?", "26-01-28T00:00 26-02-25T00:00 26-03-27T00:00 26-04-27T00:00 26-05-28T00:00"),
        ("QUARTZ 0 0 12 ? NOV-FEB 2#1", "26-02-02T12:00 26-11-02T12:00 26-12-07T12:00 27-01-04T12:00 27-02-01T12:00"),
        ("QUARTZ 0 0 12 ? * 6-2/2", "26-01-09T12:00 26-01-11T12:00 26-01-16T12:00 26-01-18T12:00 26-01-23T12:00"),
        # in a zone, over the change of the clock
        ("CRON_TZ=Europe/Berlin 0 10 28-30 3 *", "26-03-28T09:00 26-03-29T08:00 26-03-30T08:00 27-03-28T08:00 27-03-29T08:00"),
        ("CRON_TZ=Europe/Berlin 30 2 29 3 *", "26-03-29T01:30 27-03-29T00:30 28-03-29T00:30 29-03-29T00:30 30-03-29T01:30"),
        ("CRON_TZ=Europe/Berlin */30 * 25 10 *", "26-10-24T22:00 26-10-24T22:30 26-10-24T23:00 26-10-24T23:30 26-10-25T00:00"),
        ("CRON_TZ=Europe/Berlin 30 2 25 10 *", "26-10-25T00:30 27-10-25T00:30 28-10-25T00:30 29-10-25T00:30 30-10-25T00:30"),
    ],
)  # fmt: skip
def test_cron(cron, meant):
    assert firings(cron, NOW) == meant


@pytest.mark.parametrize(
    ("cron", "now", "meant"),
    [
        ("0 * * * *", "2026-10-24T23:10:00Z", "00:00 01:00 02:00 03:00 04:00"),  # each hour that passes, also the one that comes twice
        ("*/30 * * * *", "2026-10-24T23:40:00Z", "00:00 00:30 01:00 01:30 02:00"),
        ("*/30 2 * * *", "2026-10-24T23:40:00Z", "26-10-25T00:00 26-10-25T00:30 26-10-26T01:00 26-10-26T01:30 26-10-27T01:00"),
        ("0 * * * *", "2026-03-29T00:10:00Z", "01:00 02:00 03:00 04:00 05:00"),  # and none twice in its place
        ("*/30 1-3 * * *", "2026-03-29T00:10:00Z", "00:30 01:00 01:30 23:00 23:30"),
    ],
)
def test_cron_over_the_change_of_the_clock(cron, now, meant):
    assert firings(f"CRON_TZ=Europe/Berlin {cron}", now) == meant


@pytest.mark.parametrize(
    ("cron", "first"), [("0 0 9 ? * 2-6", "26-01-06T09:00"), ("0 0/20 * 1/1 * ? *", "15:40"), ("0 0 9 ? * 1", "26-01-11T09:00")]
)
def test_cron_of_a_classic_model_is_quartz(cron, first):
    assert firings(cron, NOW, most=1, kind="quartz").endswith(first[-5:])
    assert text(times.schedule("quartz", cron, times.instant(NOW), "t")[0]).endswith(first)


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "* * * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "* * * * MOO", "*/0 * * * *",
     "5-1 * * * *", "? * * * *", "0 0 30 2 *", "0 0 31W * 9", "* * * * 1#6", "0 0 0 ? * 0 *", "0 0 0 ? * 8 *", "0 0 0 1 1 ? 2020", "CRON_TZ=Mars/Base 0 9 * * *",
     "* " * 300, "1,,2 * * * *", "a b c d e", "0 0 22-2 * * *", "0 /20 * * * *", "0 0 0 L-3W * *", "0 0 0 1 1 ? 2030-2026", "QUARTZ 0 0 / * * ?"],
)  # fmt: skip
def test_what_is_no_cron(cron):
    assert "neither a cycle" in times.problem("cycle", cron) or times.schedule("cycle", cron, times.instant(NOW), "t")[0] < 0


@pytest.mark.parametrize(
    ("cron", "first"),
    [
        ("0 0 0 1 1 ? 2030", "2030-01-01T00:00"), ("0 0 0 1 1 ? 2199", "2199-01-01T00:00"), ("0 0 0 29 2 ? 2096", "2096-02-29T00:00"),
        ("0 0 0 1 1 ? 2020-2040/10", "2030-01-01T00:00"), ("0 0 0 1 1 ? 2020", ""), ("0 0 0 29 2 ? 2099", None), ("0 0 0 31 4 ? 2030", None),
    ],
)  # fmt: skip
def test_a_cron_text_of_certain_years_is_read_whenever_it_is_deployed(cron, first):
    """None: it never comes; empty: it is over."""
    assert (times.problem("cycle", cron) == "") is (first is not None)
    if first is not None:
        due, repeat, _ = times.schedule("cycle", cron, times.instant(NOW), "t")
        assert text(due) == first if first else (due, repeat) == (-1, "")


def test_a_second_text_of_every_second_is_quick():
    at = times.instant(NOW)
    for _ in range(200):
        nxt = times.cron_next("* * * * * *", at)
        assert nxt == at + 1_000_000
        at = nxt
