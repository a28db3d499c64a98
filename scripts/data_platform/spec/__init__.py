"""Specs: YAML text → a checked document with positions → typed, frozen data. Every error has its line and column."""
