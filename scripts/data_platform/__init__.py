"""Data Platform Engineer: a spec becomes a model, the model SQL, and the SQL is run and measured."""

__version__ = "0.1.0"
