"""From input files to rows with clean columns and item ids, batch by batch.

Start with `intake.py`. `partition.py` does the work on one batch and knows nothing of files, so that threads or a
Dask cluster run it unchanged; `lots.py` does it for many files and keeps what is done; `together.py` makes one table.
"""

from workbench.intake.files import find, first_rows
from workbench.intake.intake import Intake
from workbench.intake.items import as_entries
from workbench.intake.partition import Preparation, partition

__all__ = ["Intake", "Preparation", "as_entries", "find", "first_rows", "partition"]
