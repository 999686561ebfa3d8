"""Measuring a spiking network on data: how close it comes, and what it costs."""

from snnconvert.converter.verification.measure.measurement import measure_spiking
from snnconvert.converter.verification.measure.stream import measure_stream

__all__ = ["measure_spiking", "measure_stream"]
