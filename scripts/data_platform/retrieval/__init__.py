"""Retrieval: documents as chunks and vectors, found again fast enough and completely enough, by measurement."""
