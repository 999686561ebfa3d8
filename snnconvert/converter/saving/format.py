"""The members of a saved conversion, beside the exported program that it is."""

from snnconvert.sources.formats import CONVERSION_MEMBER

FORMAT = 1
MANIFEST, RULES = CONVERSION_MEMBER.removeprefix("extra/"), "snnconvert.yaml"
NEURONS, FOLDED = "snnconvert.neurons", "snnconvert.folded"  # safetensors, as base64
