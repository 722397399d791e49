"""Rankings of every candidate of every query, measured under both protocols; floors."""
