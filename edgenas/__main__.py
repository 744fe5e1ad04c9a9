"""`python -m edgenas`: the command line, where its script is not on the PATH."""

from edgenas.cli.main import run

if __name__ == "__main__":
    run()
