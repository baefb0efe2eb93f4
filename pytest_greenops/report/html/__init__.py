"""The HTML report: values of a page, its template, and what draws it; no network, one file."""
