"""Files of dialogues and products as records."""
