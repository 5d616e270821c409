(use-modules (harness))(start-tests "seeing")(finish-tests)
