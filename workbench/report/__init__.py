"""A run in words and pictures: the summary that the terminal shows, and report.html."""

from workbench.report.answers import answers, suspects
from workbench.report.page import render
from workbench.report.summary import summary
from workbench.report.words import accuracy_sentences, judge_sentences

__all__ = ["accuracy_sentences", "answers", "judge_sentences", "render", "summary", "suspects"]
