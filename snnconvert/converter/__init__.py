"""From a model to a verified spiking network; ``convert.py`` is read first."""

# A converted module is pickled as a saved file; whoever has one must know how it is read.
import snnconvert.converter.loading.read  # noqa: F401
