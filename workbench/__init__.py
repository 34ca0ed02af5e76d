"""Datainspector Workbench: messy expense lines in, categories that people can trust out."""

__version__ = "0.1.0"
