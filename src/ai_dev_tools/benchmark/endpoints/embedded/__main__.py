"""`python -m ai_dev_tools.benchmark.endpoints.embedded`: serve the embedded model alone."""

import sys

from ai_dev_tools.benchmark.endpoints.embedded import main

sys.exit(main())
