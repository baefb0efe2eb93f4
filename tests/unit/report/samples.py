"""Results as a run makes them, with defaults for everything that a test does not set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.interleaved import Interleaved, Pair
from pytest_greenops.model.measurement import Domain, Provenance, Round
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.model.result import SCHEMA, Policy, Result, Results
from pytest_greenops.model.verdict import Change, Limit, Outcome, Verdict
from tests.unit.builders import CPU, DRAM, GPU, IDLE, PSYS, key

WOBBLE = (0.98, 1.01, 1.0, 1.02, 0.99, 1.0, 1.03, 0.99, 1.0, 0.98)
POLICY = Policy("baselines", 0.05, "fail", "warn", strict=False)


def result(
    outcome: Outcome = Outcome.PASSED,
    *,
    test: TestKey | None = None,
    name: str = "call",
    joules: float = 2.0,
    seconds: float = 0.05,
    units: dict[str, float] | None = None,
    unit: str = "call",
    shares: dict[Domain, float] | None = None,
    domain: str = "total",
    rounds: int = 10,
    estimated: bool = False,
    sensor: str = "powercap",
    **more: Any,
) -> Result:
    """Return a result of one call of `joules`, split over the counters by `shares`.

    `joules` are those of the judged domain; `units` is the work of one call. Other keywords are
    fields of the result or of its verdict.
    """
    shares = shares or {CPU: 1.0}
    units = units or {}
    of_result = {k: more.pop(k) for k in list(more) if k in Result.__struct_fields__}
    judged = [d for d in shares if d.counted and domain in ("total", d.kind)]
    whole = sum(shares[d] for d in judged)
    by_domain = {d.name: joules * share / whole for d, share in shares.items()}
    return Result(
        test=test or key(),
        name=name,
        domain=domain,
        unit=unit,
        joules=joules,
        by_domain=by_domain,
        watts=joules / seconds,
        seconds=seconds,
        per_unit={unit: joules / done for unit, done in units.items()},
        interval=(joules * 0.99, joules * 1.01) if rounds > 1 else None,
        rounds=tuple(
            Round(
                {name: round(j * WOBBLE[i % 10] * 1e6) for name, j in by_domain.items()},
                seconds,
                iterations=1,
                units=units,
            )
            for i in range(rounds)
        ),
        domains=tuple(shares),
        provenance=Provenance({d.name: sensor for d in judged}, estimated),
        verdict=Verdict(outcome, estimated=estimated, **more),
        **of_result,
    )


def unmeasured(cause: str, test: TestKey | None = None) -> Result:
    """Return a result without figures."""
    verdict = Verdict(Outcome.NOT_MEASURED, cause)
    return Result(
        test=test or key(),
        name="call",
        domain="total",
        unit="call",
        provenance=Provenance({}, False),
        verdict=verdict,
    )


def change(
    relative: float,
    low: float,
    high: float,
    *,
    baseline_j: float = 2.0,
    sessions: int = 5,
    smallest: float = 0.07,
    provisional: bool = False,
    since_anchor: float | None = None,
    **more: Any,
) -> Change:
    """Return a change with a margin of 5 %."""
    known = (relative, low, high, smallest, 0.05, baseline_j, sessions)
    return Change(*known, provisional, since_anchor, **more)


def limit(quantity: str, value: float, allowed: float) -> Limit:
    """Return a limit with a measured value that is known to 2 %."""
    return Limit(quantity, value, value * 0.98, value * 1.02, allowed)


SAMPLES: dict[str, Any] = {
    "joules": 3.1 * 64,
    "seconds": 4.81,
    "units": {"sample": 64.0},
    "unit": "sample",
}


def regressed(**more: Any) -> Result:
    """Return a regression: 3.10 J/sample after 2.00 J/sample."""
    return result(Outcome.REGRESSED, change=change(0.55, 0.48, 0.61), **SAMPLES, **more)


def over_budget(**more: Any) -> Result:
    """Return a result of 3.10 J/sample with a budget of 2.50 J/sample."""
    exceeded = Limit("energy", 3.1, 3.02, 3.19, 2.5, "sample")
    return result(Outcome.OVER_BUDGET, limits=(exceeded,), **SAMPLES, **more)


def inconclusive(**more: Any) -> Result:
    """Return a change of +3.1 %, which may be more or less than the margin."""
    return result(Outcome.INCONCLUSIVE, change=change(0.031, -0.01, 0.073), **more)


def suite() -> Sequence[Result]:
    """Return one result of each kind, with names of realistic length."""
    long = key("TestTokenizer.test_throughput_of_a_batch", param="bert-base-uncased-512 tokens")
    deep = "tests/models/transformers/generation/test_generate_with_cache.py"
    gpu = {CPU: 0.3, DRAM: 0.08, GPU: 0.62, IDLE: 0.05, PSYS: 1.2}
    passed = change(0.008, -0.003, 0.019)
    young = change(0.012, -0.16, 0.22, sessions=1, smallest=0.21, provisional=True)
    return (
        result(test=key("test_encode"), joules=0.0312, seconds=0.00075, change=passed),
        regressed(),
        result(
            test=long, joules=41.2, units={"token": 512.0}, unit="token", change=young, rounds=25
        ),
        result(Outcome.IMPROVED, test=key("test_decode"), change=change(-0.21, -0.24, -0.18)),
        inconclusive(test=key("test_compress", param="zstd 3"), needs_rounds=20),
        result(Outcome.NO_BASELINE, test=key("test_new"), rounds=5),
        result(Outcome.NO_BASELINE, test=key("test_newer"), rounds=5, saved=True),
        over_budget(test=key("test_resnet_inference", deep), shares=gpu),
        result(
            test=key("test_generate", deep, "llama"),
            name="prefill",
            joules=812.0,
            seconds=2.4,
            units={"request": 8.0, "token": 4096.0},
            unit="token",
            shares=gpu,
            domain="gpu",
            limits=(limit("energy", 812 / 4096, 0.25), limit("power", 338.0, 350.0)),
            change=passed,
            grams=0.0905,
        ),
        regressed(
            test=key("test_train_step", deep), estimated=True, sensor="estimate", action="warn"
        ),
        result(
            Outcome.NOT_COMPARABLE,
            test=key("test_move", deep),
            cause="cpu: AMD EPYC 9654 96-Core Processor -> Intel(R) Xeon(R) Platinum 8480+",
        ),
        unmeasured("gpu did not move in a round: its window is too short", key("test_tick", deep)),
    )


def run(results: Sequence[Result]) -> Results:
    """Return the document of a run."""
    environment = Environment({"cpu": "AMD EPYC 9654", "cores": "4", "sensors": "powercap"})
    return Results(SCHEMA, "2026-01-02T03:04:05Z", "0.1.0", environment, POLICY, tuple(results))


def pairs(
    outcome: Outcome = Outcome.REGRESSED,
    relative: float = 0.083,
    low: float = 0.069,
    high: float = 0.098,
    *,
    ref: str = "main",
    **more: Any,
) -> Interleaved:
    """Return what seven pairs show against `3f2a91c (main)`, by default +8.3 %."""
    known: dict[str, Any] = {"baseline_j": 2.86, "smallest": 0.021, "pairs": 7, "starts": 5}
    known |= {"good": "3f2a91c", "branch": "main"}
    figures = {"relative": relative, "low": low, "high": high}
    return Interleaved(ref, "3f2a91c", outcome, 0.05, **{**figures, **known, **more})


def each_pair(*changes: float, ref_j: float = 2.86, contradicted: int = 0) -> tuple[Pair, ...]:
    """Return pairs of these changes in two processes; the last `contradicted` ones do not count."""
    return tuple(
        Pair(
            ref_j * (1 + change) * wobble,
            ref_j * wobble,
            change,
            "ref" if place % 2 else "candidate",
            windows=10,
            start=place + 1,
            process=1 + (place >= len(changes) - max(contradicted, 2)),
            counts=place < len(changes) - contradicted,
        )
        for place, (change, wobble) in enumerate(zip(changes, WOBBLE * 3, strict=False))
    )


def sampled(of: Result, counter: str = "gpu:0", parts: int = 40) -> Result:
    """Return a result of which a counter was read while its windows were open."""

    def read(round_: Round) -> Round:
        whole_j = round_.energy_uj[counter] * 1e-6
        step_s, mean_w = round_.seconds / parts, whole_j / round_.seconds
        watts = [mean_w * (0.6 if part < parts // 4 else 17 / 15) for part in range(parts)]
        until_s = tuple(step_s * part for part in range(1, parts + 1))
        return replace(round_, power={counter: PowerCurve(until_s, tuple(watts))})

    return replace(
        of,
        rounds=tuple(map(read, of.rounds)),
        fresh=tuple(tuple(map(read, rounds)) for rounds in of.fresh),
    )


def by_pairs(found: Interleaved | None = None, **more: Any) -> Result:
    """Return a result whose outcome is that of pairs: 3.10 J/sample after 2.86 J/sample."""
    found = found or pairs()
    return result(found.outcome, interleaved=found, **{**SAMPLES, **more})


def nothing_compared(outcome: Outcome, cause: str, **more: Any) -> Result:
    """Return a result that pairs could not compare."""
    fix = more.pop("fix", ())
    ab = Interleaved("main", "3f2a91c", outcome, 0.05, cause=cause, fix=fix)
    return result(outcome, cause=cause, interleaved=ab, **{**SAMPLES, **more})
