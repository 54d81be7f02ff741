"""Reading input into shards, and shards into records: one file per format.

The supervisor's side (`inputs`, `lines`, the formats' cutters) only cuts: it finds where rows end
and parses none of them. The worker's side (`record`, the formats' decoders) makes records of a
shard's payload. The export's side (`columns`) makes Arrow columns of it.
"""
