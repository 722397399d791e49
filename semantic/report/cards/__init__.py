"""Cards of runs and stores, as Hugging Face's hub shows them: Markdown that opens with its facts in YAML."""
