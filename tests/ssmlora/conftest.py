"""What runs where it can: bitsandbytes is needed for a 4-bit base, and is no requirement."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("bitsandbytes") else ["test_bitsandbytes.py"]
