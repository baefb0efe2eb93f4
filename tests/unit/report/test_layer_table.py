"""What is printed of where the joules go."""

from __future__ import annotations

from msgspec.structs import replace

from pytest_greenops.model.explanation import Explanation, Layer, among_its_kind
from pytest_greenops.model.result import Result
from pytest_greenops.report.drawing import plain
from pytest_greenops.report.layer_table import in_brief, where_joules_go
from pytest_greenops.report.section import failure_section
from tests.unit.report.samples import result

LAYERS = [Layer(f"model.layers.{i}.mlp", "LlamaMLP", 1, 0.5, "8x16") for i in range(10)]
DOUBLED = [*LAYERS, Layer("model.layers.10.mlp", "LlamaMLP", 2, 1.0, "8x16")]


def explained(layers: list[Layer] = DOUBLED, whole_j: float = 6.0, **known: object) -> Result:
    """A result with layers."""
    explanation = Explanation(among_its_kind(layers), whole_j, call_j=whole_j)
    return replace(result(**known), explained=explanation)


def test_nothing_is_told_of_what_was_not_explained() -> None:
    """Without the option there is not a line."""
    assert list(where_joules_go([result()], 80)) == []


def test_layers_are_told_by_joules() -> None:
    """The dearest by name, the rest together, and the one to look at."""
    one = explained()
    lines = list(where_joules_go([one], 80))
    assert lines[:2] == ["", f"where the joules go: {one.test.node_id}"]
    assert lines[5] == ("    model.layers.10.mlp  LlamaMLP    1.00 J   17 %  2.0 x its like")
    assert lines[13] == "    3 more                           1.50 J   25 %"
    assert lines[-1] == ("    look at model.layers.10.mlp: 2.0 times what the others like it use")


def test_parts_that_do_not_add_up_are_warned_of() -> None:
    """The sentence before the layers says that they are not to be trusted."""
    text = " ".join(" ".join(where_joules_go([explained(whole_j=12.0)], 80)).split())
    assert "add up to 50 % of them. NOT to be trusted: much work happens between the parts" in text
    assert "look at" not in text
    [line] = [x for x in failure_section(explained(whole_j=12.0)) if x.startswith("layers")]
    assert line.startswith("layers     not to be trusted: much work happens between the parts")


def test_what_grew_is_told_with_both_figures() -> None:
    """Against a baseline each layer has its change."""
    grown = Layer("head", "Linear", 1, 3.0, baseline_j=1.5)
    lines = list(where_joules_go([explained([grown], 3.0)], 80))
    assert lines[-2] == "    head  Linear    3.00 J  100 %  +100 %"
    assert lines[-1] == "    look at head, which grew most: +100 % (1.50 J -> 3.00 J)"


def test_windows_share_the_joules_of_their_loop() -> None:
    """Each window of a loop has its share, one inside another its place."""
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
        "  prefill: 1.00 J a call, 25 % of its loop",
        "    not by layer: no torch module is called in it",
        "  decode: 3.00 J a call, 75 % of its loop",
        "    not by layer: no torch module is called in it",
        "  attention: 2.00 J a call, within decode",
        "    not by layer: no torch module is called in it",
    ]


def test_replays_that_take_more_than_the_call_are_doubted() -> None:
    """They do other work than was measured, so nothing of them is to be trusted."""
    explanation = Explanation(among_its_kind(DOUBLED), 6.0, call_j=3.0)
    one = replace(result(joules=3.0), explained=explanation)
    text = " ".join(" ".join(where_joules_go([one], 80)).split())
    assert "take 200 % of it" in text
    assert "NOT to be trusted: the replays do other work than the call" in text


def test_no_line_is_wider_than_the_terminal() -> None:
    """A long name loses its head, for its end tells layers apart."""
    long = "resnet.encoder.stages.3.layers.1.layer.0.convolution.of.some.kind"
    layers = [Layer(f"{long}.{i}", "ResNetConvLayerOfSomeKind", 1, 0.5, "8") for i in range(4)]
    lines = list(where_joules_go([explained(layers, 2.0)], 80))
    assert max(map(len, lines)) <= 80
    assert any(line.strip().startswith("…") and "kind.3" in line for line in lines)
    assert all(line.isascii() for line in where_joules_go([explained(layers, 2.0)], 80, plain))


def test_a_failure_names_the_layer() -> None:
    """The section under a failure tells the layer to look at, or else those that take most."""
    [line] = [line for line in failure_section(explained()) if line.startswith("layers")]
    assert line == "layers     model.layers.10.mlp: 2.0 times what the others like it use"
    even = Explanation(among_its_kind(LAYERS), 5.0)
    assert in_brief(even).startswith("model.layers.0.mlp 10 %, ")
