"""The report of an evaluation: one HTML page that needs nothing else."""

from faceanim.evaluation.report.page import write_report
from faceanim.evaluation.report.views import Rival

__all__ = ["Rival", "write_report"]
