"""The ground floor: files, errors, progress, processes, memory, the machine. Every other room may import it."""
