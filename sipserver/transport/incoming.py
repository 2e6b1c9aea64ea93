"""The other half of ``call.py``, under the name it is looked for."""

from sipserver.transport.call import Answerer, IncomingRequest

__all__ = ["Answerer", "IncomingRequest"]
