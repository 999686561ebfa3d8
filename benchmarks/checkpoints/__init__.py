"""Real checkpoints: converted by one call and by one command, and compared with their sources.

``python -m benchmarks.checkpoints --out benchmarks/CHECKPOINTS.md`` writes the table;
``python -m benchmarks.checkpoints --packages`` lists what has to be installed for it.
"""
