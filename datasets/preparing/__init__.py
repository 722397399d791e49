"""From records to a prepared store."""
