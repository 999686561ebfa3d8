"""The members of a saved conversion, beside the exported program that it is."""

from snnconvert.sources.formats import CONVERSION_MEMBER

FORMAT = 1
MANIFEST, RULES = CONVERSION_MEMBER.removeprefix("extra/"), "snnconvert.yaml"
NEURONS, ABSORBED = "snnconvert.neurons", "snnconvert.folded"  # safetensors, as base64

HELD, BATCH, NOT_SINGLE, SHARED = "held", "batch_dims", "not_single", "shared"
"""Keys of the manifest; files of the first release have none of them."""
