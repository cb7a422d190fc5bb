"""The report of an evaluation: one HTML page that needs nothing else."""

from faceanim.evaluation.report.page import write_report
from faceanim.evaluation.report.views import ReferenceRun

__all__ = ["ReferenceRun", "write_report"]
