"""``python -m mlc`` is the ``mlc`` command."""

import sys

from mlc.cli.main import main

sys.exit(main())
