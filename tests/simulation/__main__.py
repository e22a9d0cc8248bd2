from tests.simulation.sweep import main

main()
