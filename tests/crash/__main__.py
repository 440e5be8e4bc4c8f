"""``python -m crash``: see `crash.sweep`."""

import sys

from crash.sweep import main

sys.exit(main())
