"""Seeing a run: its figures, progress, metrics, events and what it came to."""
