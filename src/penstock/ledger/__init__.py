"""The ledger: all that touches the disk for results, from the first commit to the export."""
