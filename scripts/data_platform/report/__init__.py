"""Findings and results, said once; Markdown, JSON and HTML come from the same object."""
