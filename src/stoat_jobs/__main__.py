"""`python -m stoat_jobs` is the `stoat-jobs` command."""

import sys

from ._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
