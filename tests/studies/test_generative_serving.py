"""Serving with continuous batching, and a checkpoint in place of the built models."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.causal_lm import SIZES, VOCABULARY, Untrained  # noqa: E402
from benchmarks.generative.load import Load, Request, most_at_once  # noqa: E402
from benchmarks.generative.serving import serving  # noqa: E402
from tests.studies.projects import run_benchmarks  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def model(request: pytest.FixtureRequest):
    """The smallest model of each family."""
    torch.manual_seed(0)
    return Untrained(request.param, "3m")(CPU)


def requests(*answer_tokens: int) -> list[Request]:
    """Return requests that all arrive at once, each with its own prompt."""
    torch.manual_seed(1)
    return [Request(0.0, torch.randint(VOCABULARY, (12,)).tolist(), n) for n in answer_tokens]


def test_served_as_one_by_one(model) -> None:
    """Answers are those of the model to each request alone, with the requested length."""
    sent = requests(5, 2, 7, 3, 4)
    with serving(model, Load(1.0, 5, 12, 7, slots=2)) as server:
        served = server(sent)
    alone = [
        model.generate(
            torch.tensor([request.prompt]), max_new_tokens=request.answer_tokens, do_sample=False
        )[0, 12:].tolist()
        for request in sent
    ]
    assert alone == [request.answer for request in served]


def test_served_in_order(model) -> None:
    """Requests begin in order of arrival, at most as many at once as there are slots."""
    sent = requests(5, 2, 7, 3, 4, 6)
    with serving(model, Load(1.0, 6, 12, 7, slots=2)) as server:
        served = server(sent)
        again = server(sent)
    begun_s = [request.begun_s for request in served]
    assert sorted(begun_s) == begun_s
    assert all(0 <= request.begun_s < request.finished_s for request in served)
    assert 2 == most_at_once(served) == most_at_once(again)
    assert [request.answer for request in served] == [request.answer for request in again]


def test_waits_for_the_clock(model) -> None:
    """A request never begins before it arrives, even if slots are free."""
    first, second = requests(2, 2)
    with serving(model, Load(1.0, 2, 12, 2, slots=2)) as server:
        served = server([first, second._replace(arrival_s=0.3)])
    assert served[1].begun_s >= 0.3
    assert [0.0, 0.3] == [request.arrival_s for request in served]


def test_failure_is_raised(model) -> None:
    """A request that cannot be answered raises at once."""
    unknown = Request(0.0, [VOCABULARY], 2)
    with (
        serving(model, Load(1.0, 1, 12, 2, slots=1)) as server,
        pytest.raises(RuntimeError, match="a request was not answered: index out of range"),
    ):
        server([unknown])


@pytest.mark.parametrize(("size", "parameters"), [("3m", 3.3), ("10m", 10.2), ("30m", 29.2)])
def test_sizes(size: str, parameters: float) -> None:
    """A size is named by its parameters, in both families."""
    for family in ("llama", "qwen3"):
        built = Untrained(family, size)(torch.device("meta"))
        millions = sum(weights.numel() for weights in built.parameters()) / 1e6
        assert parameters == pytest.approx(millions, abs=0.05)
    assert {"3m", "10m", "30m", "125m", "1b"} == set(SIZES)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model on disk, with its own vocabulary."""
    from transformers import AutoModelForCausalLM, MistralConfig

    path = tmp_path_factory.mktemp("models") / "tiny-mistral"
    config = MistralConfig(
        vocab_size=77,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path


def run(*args: str) -> str:
    """Run benchmarks, assert that they pass, and return the output."""
    ran = run_benchmarks("-v", *args)
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    return ran.stdout


def test_checkpoint(checkpoint: Path) -> None:
    """With --energy-model all tests of the folder run on the checkpoint only."""
    printed = run("benchmarks/generative", "--energy-model", str(checkpoint))
    lines = [line for line in printed.splitlines() if " PASSED" in line]
    assert {
        "test_answers[tiny-mistral-batch8-short_answer]",
        "test_answers[tiny-mistral-batch8-long_reasoning]",
        "test_larger_model[tiny-mistral-rate4]",
        "test_larger_model[tiny-mistral-rate64]",
        "test_load[tiny-mistral-slots4-short_answer-rate4]",
        "test_load[tiny-mistral-slots4-short_answer-rate64]",
        "test_idle[tiny-mistral]",
    } == {line.partition(" ")[0].partition("::")[2] for line in lines}


def test_checkpoint_measured(checkpoint: Path) -> None:
    """With --energy both phases of the checkpoint are measured, and the tables name it."""
    printed = run(
        "benchmarks/generative/test_causal_lm.py",
        "--energy",
        "--energy-max-rounds=1",
        f"--energy-model={checkpoint}",
        "--bench-axis=length=short_answer",
    )
    assert "test_answers[tiny-mistral-batch8-short_answer] " in printed
    assert "energy: 2 measured" in printed
    assert "| tiny-mistral | 64 -> 8 | 8 " in printed
