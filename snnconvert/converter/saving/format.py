"""The members of a saved conversion, beside the exported program that it is."""

FORMAT = 1
MANIFEST, RULES = "snnconvert.json", "snnconvert.yaml"
NEURONS, FOLDED = "snnconvert.neurons", "snnconvert.folded"  # safetensors, as base64

HELD, BATCH, NOT_SINGLE = "held", "batch_dims", "not_single"
"""Keys of the manifest; files of the first release have none of them."""
