"""A report as one HTML file with its plots, which needs no server and loads nothing.

In: the JSON form of a report. Out: the text of the file. Front door: `document`. REST and the
command line write the same file.
"""
