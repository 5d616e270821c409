;;; test-profile.scm -- profiles.
(use-modules (harness) (tempera))
(start-tests "profile")
(finish-tests)
