"""The error tree: every failure a caller can act on, with a message that names what was wrong and what to do."""


class MnemoError(Exception):
    """Base of all errors MnemoLite raises on purpose; the message is written for the person who will read it."""


class InvalidInput(MnemoError):
    """The caller gave something that cannot be used: a bad query, path, setting or vector."""


class NotFound(MnemoError):
    """What was asked for does not exist: no index, no such document, no such chunk."""


class Conflict(MnemoError):
    """Someone else holds what this call needs, such as the writer's lock of an index."""


class Outdated(Conflict):
    """What was to be changed has been changed by someone else since it was read."""


class SpaceMismatch(MnemoError):
    """Vectors of two different models would have met; names both and the command that rebuilds."""


class EmbedderUnavailable(MnemoError):
    """The embedding model cannot be loaded or reached; search goes on without it and says so."""


class Overloaded(EmbedderUnavailable):
    """More is to be embedded than can be within a reasonable time; nothing was begun, and it may be asked again."""


class RerankerUnavailable(MnemoError):
    """The reranker failed, was late or made no sense; search keeps the order it had and says so."""


class StoreUnavailable(MnemoError):
    """The store cannot be read or written: corrupt, full, unreadable, or made by a newer version."""


class Forbidden(MnemoError):
    """The caller is known, and may not do this."""


class CheckoutFailed(MnemoError):
    """A git repository cannot be fetched: it is not there, or cannot be reached just now."""


class Cancelled(MnemoError):
    """What was being done is not wanted any more."""
