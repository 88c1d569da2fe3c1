"""`python -m torch_retinanet` is the command `retinanet`, as launchers of several processes start it."""

import sys

from torch_retinanet.cli import main

if __name__ == "__main__":
    sys.exit(main())
