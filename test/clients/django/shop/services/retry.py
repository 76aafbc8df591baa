import random
import time

from .errors import PurchaseError
from .sqlstates import purchase_errors


def retrying(attempt, tries=10):
    """Runs a whole transaction, and again while it fails for what passes: not
    within atomic(), and not with ATOMIC_REQUESTS.
    """
    delay = 0.01
    for left in reversed(range(tries)):
        try:
            with purchase_errors():     # COMMIT can fail, too
                return attempt()
        except PurchaseError as error:
            if not error.retryable or not left:
                raise
        time.sleep(random.uniform(0, delay))
        delay = min(2 * delay, 0.1)
