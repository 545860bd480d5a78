"""`python -m ringfence`: the command, where the directory of scripts is on no path."""

import sys

from ringfence.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
