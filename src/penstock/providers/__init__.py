"""Dialects: a record becomes a request, a response becomes an answer or a refusal. No I/O here."""
