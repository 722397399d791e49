"""`python -m semantic`, the form in which torchrun and accelerate launch start the command."""

from semantic.cli.app import main

if __name__ == "__main__":
    main()
