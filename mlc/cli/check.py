"""List everything about a model that keeps it from being compiled ahead of time, with the nodes and the reasons.

    mlc check model.onnx
    mlc check model.onnx --dim batch=1 --json

Four kinds are told apart: what is invalid, what is unsupported, what is compiled only for the values of a call (in
Python), and what runs on the host (in Python). Exits with 0 when there is nothing to list, else with 4.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from mlc.cli.arguments import add_model_arguments, request_from
from mlc.cli.show import counted, show_json
from mlc.errors import MlcError, UnsupportedError, printable

if TYPE_CHECKING:
    from mlc.frontends.onnx.load import LoadedModel
    from mlc.frontends.onnx.survey import Survey
    from mlc.request import Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from mlc.driver import collector_paused, load_source
    from mlc.frontends.onnx.survey import survey_model

    request = request_from(args)
    with collector_paused():
        loaded = load_source(request)
        survey = survey_model(loaded, request.shapes, request.dims)
        if not survey.findings:
            _check_kernels(loaded, request, survey)
    if args.json:
        show_json(asdict(survey))
    else:
        print(_text(survey, loaded.name))
    return UnsupportedError.exit_code if survey.findings else 0


def _check_kernels(loaded: LoadedModel, request: Request, survey: Survey) -> None:
    """The rest of the way to kernels, which may still refuse an operation."""
    from mlc.driver import Compilation
    from mlc.frontends.onnx.import_ import import_model

    try:
        imported = import_model(loaded, shapes=request.shapes, dims={**survey.assumed, **request.dims})
        Compilation.of(imported, loaded.name, request.options()).advance("scheduled")
    except MlcError as error:
        survey.add(error, "the model")


def _text(survey: Survey, name: str) -> str:
    lines = [f"{name}: {counted(survey.nodes, 'node')}"]
    if survey.assumed:
        lines.append(f"taken to be 1: {', '.join(survey.assumed)} (bind them with --dim or --shapes)")
    width = max((len(finding.kind) for finding in survey.findings), default=0)
    lines += [f"{finding.kind:{width}}  {finding.where}: {finding.reason}" for finding in survey.findings]
    if survey.unchecked:
        lines.append(f"not checked, for they depend on these: {', '.join(survey.unchecked)}")
    lines.append(counted(len(survey.findings), "finding") if survey.findings else "nothing stands in the way")
    return "\n".join(map(printable, lines))
