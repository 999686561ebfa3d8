"""``python -m snnconvert``: the command line."""

import sys

from snnconvert.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
