"""Deploys Ringfence: `python production_deployment.py --environment production`; the same as `ringfence deploy`."""

import sys

from ringfence.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["deploy", *sys.argv[1:]]))
