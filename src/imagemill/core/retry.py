"""When to try again: the only retry layer there is. Decides; somebody else waits."""

from __future__ import annotations

from typing import Final

import msgspec

from imagemill.core.errors import ImageCode, ImageError

TRANSIENT: Final = frozenset(
    {
        ImageCode.DNS_FAILED,
        ImageCode.CONNECT_FAILED,
        ImageCode.TIMEOUT,
        ImageCode.TRUNCATED,
        ImageCode.STORAGE_FAILED,
        ImageCode.INTERNAL,
        ImageCode.DECODE_CRASHED,
    }
)
"""Codes that another try may cure, where the error itself does not say (`ImageError.transient`)."""

TRANSIENT_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers of an origin that another try may cure (RFC 9110, RFC 6585)."""

CALLBACK_DELAYS_S: Final = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Standard Webhooks' schedule: seconds from one attempt to the next (API.md)."""

OLD_CALLBACK_DELAYS_S: Final = (0, *(5 * 2**n for n in range(14)))
"""What clients of old services are used to (COMPAT.md): from 5 s, doubled each time, 23 hours in all."""

LONGEST_CALLBACK_WAIT_S: Final = 1.1 * max(CALLBACK_DELAYS_S)
"""No callback waits longer, and no receiver can ask for more: `Retry-After` is believed for a day."""

LONGEST_WAIT_S: Final = 300.0
"""No image waits longer for its next attempt, whatever its host asks for."""

MAX_CRASHES: Final = 2
"""An image that has crashed a child so often is not tried again (SECURITY.md)."""


class Policy(msgspec.Struct, frozen=True):
    """Retries after the first attempt, and the exponential's base and ceiling in seconds."""

    retries: int = 4
    base_s: float = 1.0
    ceiling_s: float = LONGEST_WAIT_S


def is_transient(error: ImageError) -> bool:
    """Say whether another attempt can help."""
    return error.image_code in TRANSIENT if error.transient is None else error.transient


def delay_s(policy: Policy, attempts: int, jitter: float) -> float:
    """Return the wait after `attempts` attempts: exponential, times 0.5 to 1.0 by `jitter` in [0, 1)."""
    return min(policy.ceiling_s, policy.base_s * 2.0 ** (attempts - 1)) * (0.5 + jitter / 2)


def after(error: ImageError, attempts: int, policy: Policy, jitter: float) -> float | None:
    """Return the seconds until the next attempt, or None when `attempts` (this one included) were enough."""
    limit = MAX_CRASHES if error.image_code is ImageCode.DECODE_CRASHED else policy.retries + 1
    if not is_transient(error) or attempts >= limit:
        return None
    return max(delay_s(policy, attempts, jitter), min(error.retry_after_s or 0.0, policy.ceiling_s))


def callback_after(
    attempts: int, jitter: float, retry_after_s: float | None = None, *, delays_s: tuple[int, ...] = CALLBACK_DELAYS_S
) -> float | None:
    """Return the seconds until the next callback attempt after `attempts`, or None when the schedule is used up."""
    if attempts >= len(delays_s):
        return None
    return max(delays_s[attempts] * (0.9 + jitter / 5), retry_after_s or 0.0)
