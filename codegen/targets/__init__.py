"""Facts about machines: features, registers, caches, instruction rows."""

from mlc.codegen.targets.base import Caches, Instruction, Target

__all__ = ["Caches", "Instruction", "Target"]
