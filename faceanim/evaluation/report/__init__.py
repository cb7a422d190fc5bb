"""The report of an evaluation: a self-contained HTML page.

May import `protocol` and `statistics` of the evaluation and everything below `evaluation`.
"""

from faceanim.evaluation.report.page import write_report
from faceanim.evaluation.report.views import ReferenceRun

__all__ = ["ReferenceRun", "write_report"]
