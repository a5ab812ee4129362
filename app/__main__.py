"""``python -m app``: the program without a window."""

from __future__ import annotations

import sys

from app.cli import main

sys.exit(main())
