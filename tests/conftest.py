"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from mlc.testing.require import in_ci

# Compiling takes what it takes: no deadlines. CI draws the same examples every time, so that it can't flake.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if in_ci() else "local")

os.environ.setdefault("MLC_VERIFY_EACH", "1")

# Tests of threads are small: sharing out all that can be shared is what they are about.
os.environ.setdefault("MLC_HANDOUT", "0")
