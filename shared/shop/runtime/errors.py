"""The errors that the runtime tells apart.

UserError             only a person can mend it: a setting, a missing topic, offsets that retention removed
TransactionFailed     the transaction did not happen, or nobody knows: restore tells
    TransactionTimedOut   it took longer than transaction.timeout.ms: the next one must be smaller
Unavailable           a broker or a database does not answer: wait and try again
"""


class UserError(Exception):
    """Ends the process with exit code 2; its text is one sentence that names the setting, address or file."""


class TransactionFailed(Exception):
    """Whether the transaction was committed is not known here; the log knows."""


class TransactionTimedOut(TransactionFailed):
    """The transaction was open for too long."""


class Unavailable(Exception):
    """Somebody else's process does not answer; it ends by itself."""
