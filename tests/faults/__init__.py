"""What is acknowledged stays recorded, once, whatever breaks.

HARKEN_TEST_SOAK makes the tests break things more often.
"""

import os

SOAK = bool(os.environ.get("HARKEN_TEST_SOAK"))
