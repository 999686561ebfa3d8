"""The increment form of a network, run step by step, with all that runs judged."""

from snnconvert.converter.verification.events.proof import Proof, prove_spikes, proven_degree

__all__ = ["Proof", "prove_spikes", "proven_degree"]
