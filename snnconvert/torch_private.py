"""What the package uses of torch that torch does not promise to keep, and for what.

Everything of torch whose name, or whose module's name, begins with an underscore stands here and
nowhere else, so that a new release of torch is one file to read. Other modules import from here;
``tests/test_torch_private.py`` says where one does not.
"""

from __future__ import annotations

import torch.utils._pytree as pytree

__all__ = [
    "pytree",  # inputs and outputs in nested containers: flatten, map, name a leaf, compare
]
