"""Numbers as people read them, for figures, tables and sentences alike."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence

GIB = 2**30
MIB = 2**20


def count(number: int, noun: str) -> str:
    """`1 link`, `4 links`, `no links`."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    words = list(words)
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def share(value: float | None) -> str:
    """A score, three decimals; empty for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if math.isfinite(value) else "none"


def perplexity(loss: float | None) -> str:
    """The perplexity of a loss in nats per token, three digits or more; empty for None."""
    if loss is None:
        return ""
    value = math.exp(min(loss, 700.0))
    return f"{value:,.1f}" if value < 100_000 else f"{value:.2g}"


def signed(value: float) -> str:
    """A difference of scores with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def percent(value: float) -> str:
    """A share as per cent."""
    return f"{100 * value:.1f} %"


def memory(value: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{value / GIB:.2f} GiB" if value >= GIB else f"{value / MIB:.0f} MiB"


def parameters(value: float) -> str:
    """A number of parameters: 75 k, 22.7 M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            digits = 1 if value < 100 * unit else 0
            return f"{value / unit:.{digits}f} {letter}"
    return f"{value:.0f}"


def rate(value: float) -> str:
    """Tokens per second: three digits or more, grouped."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds as s, min or h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def shortened(text: str, longest: int) -> str:
    """The text, cut with an ellipsis where it is longer than a figure has room for."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """The text on several lines, for titles of narrow panels; what is too much is cut."""
    found = textwrap.wrap(text, width)
    return "\n".join(found) if len(found) <= lines else "\n".join(found[:lines]) + "…"


def slug(text: str) -> str:
    """A piece of a file name: lower-case letters, digits and hyphens only, 60 at most."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "x"
