"""What people see in a notebook besides tables and plots."""

from workbench.widgets.progress import ProgressLine

__all__ = ["ProgressLine"]
