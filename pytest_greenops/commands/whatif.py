"""`pytest-greenops whatif`: energy and work in situations that nobody measured."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_greenops.commands.command import Command, parsed_by
from pytest_greenops.commands.console import Screen
from pytest_greenops.commands.named_results import by_kind_j, chosen, energies, epochs_j, name_of
from pytest_greenops.commands.question import Question
from pytest_greenops.commands.whatif_work import Work
from pytest_greenops.insight.regions import factor_of, region_names, regions
from pytest_greenops.insight.what_if.extrapolate import extrapolate, tdp_estimate
from pytest_greenops.insight.what_if.full_cycle import crossover, parity
from pytest_greenops.insight.what_if.hypothetical import what_if
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Life
from pytest_greenops.model.units import format_duration, format_power, parse_intensity, parse_power
from pytest_greenops.report import figures, what_if_text

_ENERGY = (
    "ENERGY is a quantity, e.g. '100 kJ' or '1e-4 kWh', or RESULTS.json::TEST: the joules of one "
    "call of the test whose name contains TEST."
)


class WhatIf(Command):
    """The sub-command `whatif`, with a sub-command for each question."""

    name = "whatif"
    help = "estimate other regions, GPUs, whole trainings, lifetimes, and models too large to run"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add a parser for each question."""
        subparsers = parser.add_subparsers(title="questions", metavar="QUESTION", required=True)
        for question in QUESTIONS:
            subparser = subparsers.add_parser(question.name, help=question.help)
            subparser.description = question.help
            question.add_arguments(subparser)
            subparser.set_defaults(question=question)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the answer."""
        screen = Screen.of_stdout()
        screen.print(list(arguments.question.answer(arguments, screen.width)))
        return 0


class Region(Question):
    """The same measurements on another grid, data center or GPU."""

    name = "region"
    help = "measured joules on another grid, PUE or GPU"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the results, and what differs."""
        _add_results(parser)
        grid = parser.add_mutually_exclusive_group()
        grid.add_argument(
            "--region", metavar="CODE", type=parsed_by(factor_of), help="the grid, e.g. US-KY"
        )
        intensity, text = parsed_by(_intensity), "of the grid, e.g. '401 g/kWh'"
        grid.add_argument("--carbon-intensity", metavar="V", type=intensity, help=text)
        parser.add_argument("--pue", metavar="X", type=float, help="of the data center, e.g. 1.59")
        text = "operations per joule relative to the measured GPU: 2 halves its joules"
        parser.add_argument("--gpu-efficiency", metavar="X", type=float, default=1.0, help=text)

    def answer(self, arguments: argparse.Namespace, width: int) -> Iterator[str]:
        """Print each measurement as measured, and as it would be."""
        there: CarbonFactor | None = arguments.region or arguments.carbon_intensity
        differences = []
        if there:
            differences.append(f"at {figures.factor(there)}")
        if arguments.pue is not None:
            differences.append(f"with a PUE of {arguments.pue:g}")
        if arguments.gpu_efficiency != 1.0:
            efficiency = f"{arguments.gpu_efficiency:g} times as many operations per joule"
            differences.append(f"on a GPU with {efficiency}")
        if not differences:
            raise InsightError(
                "nothing differs: add --region, --carbon-intensity, --pue or --gpu-efficiency"
            )
        answers = []
        for result in chosen(arguments.results, arguments.test):
            here = result.carbon
            with _naming(name_of(result)):
                answer = what_if(
                    by_kind_j(result),
                    factor=there or here,
                    pue=arguments.pue if arguments.pue is not None or not here else here.pue,
                    gpu_efficiency=arguments.gpu_efficiency,
                )
            answers.append((result, answer))
        yield from what_if_text.region_lines(answers, differences, there is not None, width)


class Cycle(Question):
    """Training and inferences of two models."""

    name = "cycle"
    help = "which of two models uses less energy over its lifetime"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the energies of both models."""
        parser.epilog = _ENERGY
        for model in "AB":
            for phase, what in (("training", "the training"), ("inference", "one inference")):
                name, text = f"{model}_{phase}", f"ENERGY of {what} of {model}"
                parser.add_argument(name.lower(), metavar=name.upper(), help=text)
        text = "also compare both after N inferences"
        parser.add_argument("--inferences", metavar="N", type=float, help=text)

    def answer(self, arguments: argparse.Namespace, width: int) -> Iterator[str]:
        """Print both models, and after how many inferences the other one uses less."""
        if arguments.inferences is not None and not 0 <= arguments.inferences < math.inf:
            raise InsightError(f"--inferences {arguments.inferences:g}: expected a number >= 0")
        names = ("a_training", "a_inference", "b_training", "b_inference")
        found = energies([getattr(arguments, name) for name in names])
        a_training, a_inference, b_training, b_inference = (each.joules for each in found)
        a, b = Life(a_training, a_inference), Life(b_training, b_inference)
        lives, crossing = {"A": a, "B": b}, crossover(a, b)
        yield from what_if_text.cycle_lines(lives, crossing, arguments.inferences, width)
        yield from what_if_text.source_lines(found, width)


class Parity(Question):
    """Inferences that use as much energy as the training."""

    name = "parity"
    help = "how many inferences use as much energy as the training"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the energies of the model."""
        parser.epilog = _ENERGY
        parser.add_argument("--training", metavar="ENERGY", required=True, help="of the training")
        parser.add_argument("--fine-tuning", metavar="ENERGY", help="of the fine-tuning after it")
        parser.add_argument("--inference", metavar="ENERGY", required=True, help="of one inference")

    def answer(self, arguments: argparse.Namespace, width: int) -> Iterator[str]:
        """Print the number of inferences."""
        found = energies([arguments.training, arguments.inference, arguments.fine_tuning or "0 J"])
        training_j, inference_j, tuning_j = (each.joules for each in found)
        inferences = parity(training_j, inference_j, tuning_j)
        yield from what_if_text.parity_lines(inferences, training_j, inference_j, tuning_j, width)
        yield from what_if_text.source_lines(found, width)


class Training(Question):
    """A whole training, projected from its first epochs."""

    name = "training"
    help = "energy of a whole training, from its first epochs"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the results, and the length of the training."""
        parser.epilog = (
            "Measure an epoch, or a step, as one round: energy.pedantic(epoch, rounds=8, "
            "warmup_rounds=0, iterations=1)"
        )
        _add_results(parser)
        text = "of the whole training"
        parser.add_argument("--epochs", metavar="N", type=int, required=True, help=text)
        text = "consecutive epochs that must use the same energy (default: 5)"
        parser.add_argument("--window", metavar="N", type=int, default=5, help=text)
        power, text = parsed_by(parse_power), "of the devices, e.g. '300 W', for comparison"
        parser.add_argument("--tdp", metavar="P", type=power, help=text)

    def answer(self, arguments: argparse.Namespace, width: int) -> Iterator[str]:
        """Print the projection of each chosen test."""
        for number, result in enumerate(chosen(arguments.results, arguments.test)):
            if number:
                yield ""
            epochs = epochs_j(result)
            with _naming(name_of(result)):
                whole = extrapolate(epochs, arguments.epochs, arguments.window)
            seconds = sum(r.seconds for r in result.rounds) / len(result.rounds) * arguments.epochs
            tdp = arguments.tdp
            tdp_j = None if tdp is None else tdp_estimate(tdp, seconds)
            basis = "" if tdp is None else f"{format_power(tdp)} for {format_duration(seconds)}"
            yield from what_if_text.training_lines(result, whole, tdp_j, basis, width)


class Regions(Question):
    """The built-in table of carbon intensities."""

    name = "regions"
    help = "the regions with a known carbon intensity"

    def answer(self, arguments: argparse.Namespace, width: int) -> Iterable[str]:
        """Print the table."""
        return what_if_text.regions_lines(regions(), region_names(), width)


QUESTIONS: tuple[Question, ...] = (*(Region(), Cycle(), Parity(), Training(), Work(), Regions()),)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put a test's name in front of an `InsightError`."""
    try:
        yield
    except InsightError as error:
        raise InsightError(f"{name}: {error}") from None


def _add_results(parser: argparse.ArgumentParser) -> None:
    text = "a file that pytest --energy --energy-json=PATH wrote"
    parser.add_argument("results", metavar="RESULTS", type=Path, help=text)
    parser.add_argument("--test", metavar="NAME", help="only tests whose names contain NAME")


def _intensity(text: str) -> CarbonFactor:
    return CarbonFactor(parse_intensity(text))
