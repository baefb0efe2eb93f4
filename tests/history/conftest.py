"""Histories of both kinds."""

from tests.postgresql import database, postgresql

__all__ = ["database", "postgresql"]
