"""What a run is: the fields of its configuration, and the one place that knows YAML."""
