"""The report of an evaluation: one HTML page that needs nothing else."""

from faceanim.evaluation.report.page import write_report
from faceanim.evaluation.report.views import Champion

__all__ = ["Champion", "write_report"]
