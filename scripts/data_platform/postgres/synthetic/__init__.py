"""Synthetic rows for every table of a database: valid by its constraints, and the same ones for the same seed."""

from data_platform.postgres.synthetic.generator import Filled, Generator

__all__ = ["Filled", "Generator"]
