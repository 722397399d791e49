"""`python -m semantic`: what torchrun and accelerate launch start processes of."""

from semantic.cli.app import main

if __name__ == "__main__":
    main()
