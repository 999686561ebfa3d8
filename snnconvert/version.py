"""The version of the package, which saved files carry."""

__version__ = "0.1.0"
