"""The table of where the joules go."""

from __future__ import annotations

from msgspec.structs import replace

from pytest_greenops.model.counted import Amount
from pytest_greenops.model.explanation import Explanation, Layer, among_its_kind
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.model.work_verdict import LayerWork, WorkOutcome
from pytest_greenops.report.drawing import plain
from pytest_greenops.report.layer_table import in_brief, where_joules_go
from pytest_greenops.report.section import fact_lines
from tests.unit.report.samples import result
from tests.unit.works import calls, verdict

LAYERS = [Layer(f"model.layers.{i}.mlp", "LlamaMLP", 1, 0.5, "8x16") for i in range(10)]
DOUBLED = [*LAYERS, Layer("model.layers.10.mlp", "LlamaMLP", 2, 1.0, "8x16")]


def explained(layers: list[Layer] = DOUBLED, whole_j: float = 6.0, **known: object) -> Result:
    """Return a result with layers."""
    explanation = Explanation(among_its_kind(layers), whole_j, call_j=whole_j)
    return replace(result(**known), explained=explanation)


def test_results_without_layers_are_omitted() -> None:
    """Without the option there is no line."""
    assert list(where_joules_go([result()], 80)) == []


def test_layers_are_listed_by_joules() -> None:
    """The layers with most energy are listed, the rest summed up, and a suspect named."""
    one = explained()
    lines = list(where_joules_go([one], 80))
    assert lines[:2] == ["", f"where the joules go: {one.test.node_id}"]
    assert lines[5] == ("    model.layers.10.mlp  LlamaMLP  1.00 J   17 %  2.0 x similar")
    assert lines[13] == "    3 more                         1.50 J   25 %"
    assert lines[-1] == ("    look at model.layers.10.mlp: 2.0 times as much as similar layers")


def test_layers_that_do_not_add_up_have_a_warning() -> None:
    """The sentence above the layers says that they are unreliable."""
    text = " ".join(" ".join(where_joules_go([explained(whole_j=12.0)], 80)).split())
    assert "add up to 50 % of that. UNRELIABLE: much work happens between the parts" in text
    assert "look at" not in text
    regressed = replace(explained(whole_j=12.0), verdict=Verdict(Outcome.REGRESSED))
    [line] = [x for x in fact_lines(regressed, 200) if x.startswith("why")]
    assert line.startswith("why             unreliable: much work happens between the parts")


def test_a_layer_that_grew_has_both_figures() -> None:
    """With a baseline each layer has its change."""
    grown = Layer("head", "Linear", 1, 3.0, baseline_j=1.5)
    lines = list(where_joules_go([explained([grown], 3.0)], 80))
    assert lines[-2] == "    head  Linear  3.00 J  100 %  +100 %"
    assert lines[-1] == "    look at head, which grew most: +100 % (1.50 J -> 3.00 J)"


def test_windows_have_a_share_of_their_loop() -> None:
    """Each window of a loop has its share; a nested window names the outer one."""
    why = "no torch module is called in it"
    windows = [
        replace(result(), name=name, joules=joules, explained=explanation)
        for name, joules, explanation in (
            ("prefill", 1.0, Explanation(why=why, share=0.25)),
            ("decode", 3.0, Explanation(why=why, share=0.75)),
            ("attention", 2.0, Explanation(why=why, within="decode")),
        )
    ]
    assert list(where_joules_go(windows, 80))[2:] == [
        "  prefill: 1.00 J per call, 25 % of its loop",
        "    no layers: no torch module is called in it",
        "  decode: 3.00 J per call, 75 % of its loop",
        "    no layers: no torch module is called in it",
        "  attention: 2.00 J per call, within decode",
        "    no layers: no torch module is called in it",
    ]


def test_replays_that_use_more_than_the_call_are_unreliable() -> None:
    """They do other work than the measured call."""
    explanation = Explanation(among_its_kind(DOUBLED), 6.0, call_j=3.0)
    one = replace(result(joules=3.0), explained=explanation)
    text = " ".join(" ".join(where_joules_go([one], 80)).split())
    assert "use 200 % of the call" in text
    assert "UNRELIABLE: the replays do other work than the call" in text


def test_no_line_is_wider_than_the_terminal() -> None:
    """A long name is cut where it agrees with others, so that layers differ."""
    long = "resnet.encoder.stages.3.layers.1.layer.0.convolution.of.some.kind"
    layers = [Layer(f"{long}.{i}", "ResNetConvLayerOfSomeKind", 1, 0.5, "8") for i in range(4)]
    for width in (60, 80):
        lines = list(where_joules_go([explained(layers, 2.0)], width))
        assert max(map(len, lines)) <= width
        shown = [line.split()[0] for line in lines if "…" in line and "500 mJ" in line]
        assert len(set(shown)) == len(layers)
    assert all(line.isascii() for line in where_joules_go([explained(layers, 2.0)], 80, plain))


def test_a_failure_names_the_layer() -> None:
    """The section below a failure has the layer to look at, or those with most energy."""
    regressed = replace(explained(), verdict=Verdict(Outcome.REGRESSED))
    [line] = [line for line in fact_lines(regressed, 80) if line.startswith("why")]
    assert line == "why             model.layers.10.mlp: 2.0 times as much as similar layers"
    even = Explanation(among_its_kind(LAYERS), 5.0)
    assert in_brief(even).startswith("model.layers.0.mlp 10 %, ")


def with_work(one: Result, *layers: LayerWork) -> Result:
    """Return a result with the work of these layers."""
    work = verdict(WorkOutcome.NO_BASELINE, layers=layers)
    return replace(one, verdict=replace(one.verdict, work=work))


def test_the_change_of_work_is_beside_the_joules() -> None:
    """A changed layer is listed even if it uses little; layers on one side only are named."""
    mlp, did = "model.layers.{}.mlp", calls(3, 100)
    work = [LayerWork(mlp.format(number), did, did, 0.0) for number in range(11)]
    work[9] = LayerWork(mlp.format(9), calls(4, 100), did, 0.33)
    gone = [LayerWork(f"old.{number}", Amount(), did) for number in range(6)]
    outside = LayerWork("", did, calls(2), 0.5)
    lines = list(where_joules_go([with_work(explained(), *work, *gone, outside)], 80))
    row = "    model.layers.10.mlp  LlamaMLP  1.00 J   17 %  2.0 x similar  same work"
    assert lines[5] == row
    assert lines[13].endswith("1.0 x similar  work +33 %")
    assert lines[13].split()[0] == "model.layers.9.mlp"
    assert lines[14].split() == ["2", "more", "1.00", "J", "17", "%"]
    assert lines[15].split() == ["elsewhere", "work", "+50", "%"]
    named = "    only in the accepted work: old.0, old.1, old.2, old.3, 2 more"
    assert lines[16] == named
    assert max(map(len, lines)) <= 80


def test_without_accepted_work_a_layer_has_its_own() -> None:
    """It is FLOP and bytes if the names leave room for both, else FLOP."""
    grown = Layer("head", "Linear", 1, 3.0)
    one = with_work(explained([grown], 3.0), LayerWork("head", calls(1, 100)))
    assert list(where_joules_go([one], 80))[-1].endswith("100 %    100 MFLOP, 4 kB")
    many = [LayerWork(layer.name, calls(1, 100)) for layer in DOUBLED]
    lines = list(where_joules_go([with_work(explained(), *many)], 80))
    assert lines[5].endswith("2.0 x similar  100 MFLOP")
    assert max(map(len, lines)) <= 80


def test_work_by_layer_without_joules() -> None:
    """Layers with the largest change are listed, with their calls, FLOP and bytes."""
    work = [LayerWork(f"layers.{number}", calls(3), calls(3), 0.0) for number in range(9)]
    grown = LayerWork("head", calls(2, 100), calls(1, 100), 1.0)
    alone = replace(result(), rounds=())
    lines = list(where_joules_go([with_work(alone, grown, *work)], 80))
    assert lines[1] == f"where the work goes: {alone.test.node_id}"
    assert lines[3] == "    head      200 MFLOP   8 kB moved  2 calls  +100 %"
    assert lines[-1] == "    2 more               24 kB moved  6 calls  same work"
