"""An application with one table and one page."""
