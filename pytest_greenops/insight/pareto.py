"""The Pareto front of quality and joules, beside the other insights."""

from pytest_greenops.model.pareto import Dominated, Front, Point, front

__all__ = ["Dominated", "Front", "Point", "front"]
