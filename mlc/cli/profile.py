"""Show where the time of a call goes: what each kernel took, and for which node of the model.

    mlc profile resnet50.onnx --threads=1 --top 10
    mlc profile gpt2.onnx --dim seq=1..512 -i tokens.npy --html profile.html

The code is that of `mlc compile` with clocks around its kernels. Several threads: the slowest one's time is shown.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from mlc.api import Maker
from mlc.cli.arguments import (
    add_input_arguments,
    add_model_arguments,
    amount,
    cache_from,
    count,
    inputs_from,
    request_from,
)
from mlc.cli.show import show_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    add_input_arguments(parser)
    parser.add_argument("--duration", type=amount, default=2.0, metavar="S", help="seconds to measure (default: 2)")
    parser.add_argument("--top", type=count, default=0, metavar="N", help="show the slowest N (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON, in the order of the program")
    parser.add_argument("--html", metavar="FILE", help="write a page, in the order of the program")


def run(args: argparse.Namespace) -> int:
    model = Maker(replace(request_from(args), timed=True), cache_from(args)).model()
    found = model.profile(inputs_from(args, model), duration=args.duration)
    if args.html:
        found.to_html(args.html)
    if args.json:
        show_json(found.to_dict())
    else:
        print(found.text(args.top or None))
    return 0
