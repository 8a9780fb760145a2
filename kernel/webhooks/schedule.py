"""When an event that the receiver did not take is sent again. Source: Standard Webhooks, "Deliverability and reliability"; its example schedule."""

from __future__ import annotations

import hashlib

#: seconds between an attempt and the next; after the last the event is a dead letter. Some three days in all
PAUSES_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS_MAX = len(PAUSES_S) + 1
#: share of a pause that is added, so that what failed together isn't sent together
JITTER = 0.1
#: longest wait that a receiver may ask for
AFTER_MS_MAX = 86_400_000


def due_us(webhook: int, at: str, attempt: int, now_us: int, after_ms: int = 0) -> int:
    """When attempt number `attempt` + 1 is due; 0: there is none. The same for the same event, whoever asks."""
    if not 1 <= attempt <= len(PAUSES_S):
        return 0
    share = int.from_bytes(hashlib.sha256(f"{webhook}.{at}.{attempt}".encode()).digest()[:4], "big") / 0xFFFFFFFF
    pause_us = int(PAUSES_S[attempt - 1] * (1 + JITTER * share) * 1_000_000)
    return now_us + max(pause_us, min(max(0, after_ms), AFTER_MS_MAX) * 1_000)
