"""Every optimisation level gives what the reference gives: what is optional may be left out."""

from __future__ import annotations

import numpy as np
import pytest

from mlc.api import Maker
from mlc.driver import import_source
from mlc.request import OPT_LEVELS, Request
from mlc.testing.models import compare, reference_outputs
from mlc.testing.networks import NETWORKS


@pytest.mark.parametrize("opt_level", OPT_LEVELS)
@pytest.mark.parametrize("name", NETWORKS)
def test_level(name: str, opt_level: int) -> None:
    model = NETWORKS[name]()
    maker = Maker(Request(model, opt_level=opt_level), None)
    imported = import_source(maker.loaded, maker.request)
    generator = np.random.default_rng(0)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    feeds = {key: generator.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}
    wide, plain = (reference_outputs(imported, list(feeds.values()), plain=plain) for plain in (False, True))
    got = maker.model().run(feeds)
    verdicts = [
        compare(info.name, got[info.name], exact, plain=rounded)
        for info, exact, rounded in zip(imported.outputs, wide, plain)
    ]
    assert [v.message for v in verdicts if not v.ok] == []
