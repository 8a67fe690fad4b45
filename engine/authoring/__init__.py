"""Workflows written in Python: `Workflow` by decorator or call by call, `Graph` node by node. Used by `engine`'s face.

Both come to a document and a registry of the functions in it, and run like any other document.
"""

from engine.authoring.graph import Graph
from engine.authoring.workflow import Workflow

__all__ = ["Graph", "Workflow"]
