"""Penstock takes millions of records through LLM HTTP APIs."""
