"""The engine: a supervisor leases shards of records to worker processes, which ask the provider."""
