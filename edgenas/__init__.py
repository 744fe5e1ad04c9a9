"""edgenas: the most accurate int8 network that runs within a latency budget, and why."""

__version__ = "0.1.0"
__all__ = ["__version__"]
