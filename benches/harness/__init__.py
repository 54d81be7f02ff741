"""What the benchmarks are made of: a server, an accountant, clients, and how figures are shown."""
