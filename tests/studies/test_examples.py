"""The examples with libraries of machine learning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.example_projects import follow


@pytest.mark.real_time
def test_scikit_learn(tmp_path: Path) -> None:
    """Predicting image by image keeps every result, and exceeds the budget."""
    pytest.importorskip("sklearn")
    follow("scikit_learn", tmp_path)


def test_torch_training(tmp_path: Path) -> None:
    """A second forward pass is found as counted work, with its line in the README."""
    pytest.importorskip("torch")
    follow("torch_training", tmp_path)


def test_hugging_face(tmp_path: Path) -> None:
    """Padding that is longer than needed is found as counted work, with no model hub."""
    pytest.importorskip("transformers")
    follow("hugging_face", tmp_path)
