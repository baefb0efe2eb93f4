"""Counted work by layer."""

from __future__ import annotations

from msgspec.structs import replace

from pytest_greenops.judge.work_layers import work_by_layer
from pytest_greenops.model.counted import Amount
from pytest_greenops.model.work_verdict import LayerWork
from tests.unit.works import calls, layers, table

BEFORE = table(modules=layers(2))
MLP = [f"model.layers.{number}.mlp" for number in range(2)]


def test_modules_inside_a_layer_are_added() -> None:
    """The layers of the joules come first, and the rest is outside of them."""
    first, second, outside = work_by_layer(BEFORE, layers=MLP)
    assert (first, second.now) == (LayerWork(MLP[0], calls(6, 537, 900)), first.now)
    assert outside == LayerWork("", calls(2) + calls(1, 20, 80) + calls(4))


def test_a_changed_layer_has_its_change() -> None:
    """Others are the same; what ran on one side only is named, inside of no layer."""
    modules = {**layers(3), f"{MLP[1]}.up": calls(4, 537, 900)}
    found = {one.name: one for one in work_by_layer(table(modules=modules), BEFORE, MLP)}
    assert found[MLP[0]].same
    assert 0.32 < (found[MLP[1]].relative or 0) < 0.34
    new = ["model.layers.2.mlp", "model.layers.2.norm"]
    assert [name for name, one in found.items() if one.is_new] == new
    assert found[""].same
    gone = work_by_layer(BEFORE, table(modules=layers(3)), MLP)
    assert [one.name for one in gone if one.is_gone] == new


def test_layers_from_the_paths_of_modules() -> None:
    """Without layers, those that consist of modules are made up, the largest change first."""
    found = work_by_layer(table(modules=layers(12)))
    assert [one.name for one in found[:2]] == ["model.layers.0.mlp", "model.layers.1.mlp"]
    assert {one.name for one in found[12:]} == {
        "head",
        "",
        *(f"model.layers.{number}.norm" for number in range(12)),
    }
    changed = {**layers(12), "model.layers.7.norm": calls(90)}
    first, *others = work_by_layer(table(modules=changed), table(modules=layers(12)))
    assert first.name == "model.layers.7.norm"
    assert all(one.same for one in others)


def test_weighted_sums_know_the_dtypes_of_modules() -> None:
    """The change is that of the weighted sums, where both sides have them by module."""
    one = replace(table(modules={"a": calls(1, 100)}), weighted={"a": 100})
    more = replace(one, weighted={"a": 300})
    [found] = work_by_layer(more, one, ["a"])
    assert (found.relative, found.same) == (2.0, False)
    [older] = work_by_layer(more, replace(one, weighted={}), ["a"])
    assert (older.relative, older.same) == (0.0, True)


def test_a_call_without_modules() -> None:
    """Everything is outside of layers."""
    assert work_by_layer(table(modules={"": calls(1)})) == (LayerWork("", calls(1)),)
    assert work_by_layer(table(modules={}), table(modules={})) == ()
    assert not LayerWork("a", Amount()).is_gone
