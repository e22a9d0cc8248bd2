"""What the casino is compared with: servers that speak as much of the protocol as ``spin`` needs, each a
program of its own. Nothing here may be imported by the casino."""
