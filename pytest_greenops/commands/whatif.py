"""`pytest-greenops whatif`: questions about energy that nobody measured, and their answers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pytest_greenops.model.errors import GreenopsError, InsightError

if TYPE_CHECKING:
    from pytest_greenops.model.carbon_factor import CarbonFactor

Read = TypeVar("Read")
#: The lines that answer a parsed question, for a screen of so many columns.
Answer = Callable[[argparse.Namespace, int], Iterable[str]]

ENERGY = (
    "ENERGY is a quantity such as '100 kJ' or '1e-4 kWh', or RESULTS.json::TEST: the joules of one "
    "call of the test whose name holds TEST"
)


class Question(NamedTuple):
    """One of the questions: its name, what it asks, what arguments it takes, who answers it."""

    name: str
    about: str
    arguments: Callable[[argparse.ArgumentParser], None]
    answer: Answer


def add_questions(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each question; it leaves who answers it in `answer`."""
    questions = parser.add_subparsers(title="questions", metavar="QUESTION", required=True)
    for question in QUESTIONS:
        asked = questions.add_parser(question.name, help=question.about, description=question.about)
        question.arguments(asked)
        asked.set_defaults(answer=question.answer)


# --- another region, data centre, GPU ----------------------------------------------------------


def _region_arguments(parser: argparse.ArgumentParser) -> None:
    _add_results(parser)
    grid = parser.add_mutually_exclusive_group()
    grid.add_argument("--region", metavar="CODE", type=_factor, help="of the grid, such as US-KY")
    grid.add_argument(
        "--carbon-intensity", metavar="V", type=_intensity, help="of the grid, as '401 g/kWh'"
    )
    parser.add_argument("--pue", metavar="X", type=float, help="of the data centre, such as 1.59")
    parser.add_argument(
        "--gpu-efficiency",
        metavar="X",
        type=float,
        default=1.0,
        help="operations a joule of another GPU over those of this one: 2 halves its joules",
    )


def _region(arguments: argparse.Namespace, width: int) -> Iterator[str]:
    from pytest_greenops.commands.picked import by_kind_j, chosen, name_of
    from pytest_greenops.insight.what_if.elsewhere import what_if
    from pytest_greenops.report.figures import factor
    from pytest_greenops.report.what_if_text import region_lines

    there: CarbonFactor | None = arguments.region or arguments.carbon_intensity
    other = [
        *([f"at {factor(there)}"] if there else []),
        *([f"with a PUE of {arguments.pue:g}"] if arguments.pue is not None else []),
        *(
            [f"on a GPU of {arguments.gpu_efficiency:g} x the operations a joule"]
            if arguments.gpu_efficiency != 1.0
            else []
        ),
    ]
    if not other:
        raise InsightError(
            "nothing differs; add --region, --carbon-intensity, --pue or --gpu-efficiency"
        )
    answers = []
    for result in chosen(arguments.results, arguments.test):
        here = result.carbon
        try:
            answer = what_if(
                by_kind_j(result),
                factor=there or here,
                pue=arguments.pue if arguments.pue is not None or here is None else here.pue,
                gpu_efficiency=arguments.gpu_efficiency,
            )
        except InsightError as error:
            raise InsightError(f"{name_of(result)}: {error}") from None
        answers.append((result, answer))
    yield from region_lines(answers, other, there is not None, width)


# --- over the life of two models ---------------------------------------------------------------


def _cycle_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ENERGY
    for model in "AB":
        for what in ("training", "inference"):
            parser.add_argument(
                f"{model.lower()}_{what}",
                metavar=f"{model}_{what.upper()}",
                help=f"ENERGY of {model}: {'all its' if what == 'training' else 'one'} {what}",
            )
    parser.add_argument("--inferences", metavar="N", type=float, help="compare both over so many")


def _cycle(arguments: argparse.Namespace, width: int) -> Iterator[str]:
    from pytest_greenops.commands.picked import energies
    from pytest_greenops.insight.what_if.full_cycle import crossover
    from pytest_greenops.model.scenario import Life
    from pytest_greenops.report.what_if_text import cycle_lines, source_lines

    if arguments.inferences is not None and not 0 <= arguments.inferences < math.inf:
        raise InsightError(f"--inferences {arguments.inferences:g}: write a number from 0 up")
    given = ("a_training", "a_inference", "b_training", "b_inference")
    found = energies([getattr(arguments, name) for name in given])
    a_training, a_inference, b_training, b_inference = (each.joules for each in found)
    a, b = Life(a_training, a_inference), Life(b_training, b_inference)
    yield from cycle_lines({"A": a, "B": b}, crossover(a, b), arguments.inferences, width)
    yield from source_lines(found, width)


def _parity_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ENERGY
    parser.add_argument("--training", metavar="ENERGY", required=True, help="of the training")
    parser.add_argument("--fine-tuning", metavar="ENERGY", help="of what was trained after it")
    parser.add_argument("--inference", metavar="ENERGY", required=True, help="of one inference")


def _parity(arguments: argparse.Namespace, width: int) -> Iterator[str]:
    from pytest_greenops.commands.picked import energies
    from pytest_greenops.insight.what_if.full_cycle import parity
    from pytest_greenops.report.what_if_text import parity_lines, source_lines

    given = (arguments.training, arguments.inference, arguments.fine_tuning or "0 J")
    found = energies(given)
    training_j, inference_j, tuning_j = (each.joules for each in found)
    inferences = parity(training_j, inference_j, tuning_j)
    yield from parity_lines(inferences, training_j, inference_j, tuning_j, width)
    yield from source_lines(found, width)


# --- a whole training --------------------------------------------------------------------------


def _training_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "an epoch, or a step, is a round of the measurement: energy.pedantic(epoch, rounds=8, "
        "warmup_rounds=0, iterations=1)"
    )
    _add_results(parser)
    parser.add_argument(
        "--epochs", metavar="N", type=int, required=True, help="that the whole training will have"
    )
    parser.add_argument(
        "--window", metavar="N", type=int, default=5, help="epochs in a row that are alike (5)"
    )
    parser.add_argument(
        "--tdp", metavar="P", type=_power, help="of the devices, such as '300 W', to compare with"
    )


def _training(arguments: argparse.Namespace, width: int) -> Iterator[str]:
    from pytest_greenops.commands.picked import chosen, epochs_j, name_of
    from pytest_greenops.insight.what_if.extrapolate import extrapolate, tdp_estimate
    from pytest_greenops.model.units import format_duration, format_power
    from pytest_greenops.report.what_if_text import training_lines

    for number, result in enumerate(chosen(arguments.results, arguments.test)):
        if number:
            yield ""
        epochs = epochs_j(result)
        try:
            whole = extrapolate(epochs, arguments.epochs, arguments.window)
        except InsightError as error:
            raise InsightError(f"{name_of(result)}: {error}") from None
        seconds = sum(r.seconds for r in result.rounds) / len(result.rounds) * arguments.epochs
        tdp = arguments.tdp
        yield from training_lines(
            result,
            whole,
            None if tdp is None else tdp_estimate(tdp, seconds),
            "" if tdp is None else f"{format_power(tdp)} for {format_duration(seconds)}",
            width,
        )


# --- the regions -------------------------------------------------------------------------------


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def _regions(arguments: argparse.Namespace, width: int) -> Iterator[str]:
    from pytest_greenops.insight.regions import regions
    from pytest_greenops.report.what_if_text import regions_lines

    yield from regions_lines(regions())


QUESTIONS = (
    Question("region", "measured joules on another grid, PUE or GPU", _region_arguments, _region),
    Question("cycle", "which of two models uses less over its life", _cycle_arguments, _cycle),
    Question("parity", "how many inferences use as much as training", _parity_arguments, _parity),
    Question("training", "a whole training from its first epochs", _training_arguments, _training),
    Question("regions", "the regions whose carbon intensity is known", _no_arguments, _regions),
)


# --- arguments ---------------------------------------------------------------------------------


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        metavar="RESULTS",
        type=Path,
        help="what pytest --energy --energy-json=PATH wrote",
    )
    parser.add_argument("--test", metavar="NAME", help="only tests that have this in their names")


def _factor(code: str) -> CarbonFactor:
    from pytest_greenops.insight.regions import factor_of

    return _or_say(factor_of, code)


def _intensity(text: str) -> CarbonFactor:
    from pytest_greenops.model.carbon_factor import CarbonFactor
    from pytest_greenops.model.units import parse_intensity

    return CarbonFactor(_or_say(parse_intensity, text))


def _power(text: str) -> float:
    from pytest_greenops.model.units import parse_power

    return _or_say(parse_power, text)


def _or_say(parse: Callable[[str], Read], text: str) -> Read:
    try:
        return parse(text)
    except GreenopsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
