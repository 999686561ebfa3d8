"""Rule files: what they may hold, how they are loaded, and which rule takes which operation.

The names are in ``__init__.pyi``. The schema knows every op kind, and so needs torch; the texts of
the bundled files do not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
